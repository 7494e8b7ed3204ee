import { colour } from './colours.js';
import { Overlay } from './overlay.js';

const $ = (id) => document.getElementById(id);
/** What is in the sample clip. */
const examples = ['the red heart moving right', 'the large rotating blue heart'];
const overlay = new Overlay($('video'), $('canvas'));
let chosen;
let job;
let recorder;

// ── what to segment ──

function choose(file, name = file.name) {
  chosen = { file, name };
  $('chosen').textContent = name;
}

$('file').addEventListener('change', () => $('file').files[0] && choose($('file').files[0]));
for (const type of ['dragenter', 'dragover', 'dragleave', 'drop']) {
  $('drop').addEventListener(type, (event) => {
    event.preventDefault();
    $('drop').classList.toggle('over', type === 'dragenter' || type === 'dragover');
    if (type === 'drop' && event.dataTransfer.files[0]) choose(event.dataTransfer.files[0]);
  });
}
$('example').addEventListener('click', () =>
  told(async () => {
    const clip = await (await fetch('page/sample.mp4')).blob();
    choose(clip, 'sample.mp4');
    $('sentences').replaceChildren();
    for (const text of examples) addSentence(text);
  }),
);
$('record').addEventListener('click', () => told(record));

async function record() {
  if (recorder) return recorder.stop();
  const stream = await navigator.mediaDevices.getUserMedia({ video: true }).catch(() => {
    throw new Error('There is no camera, or it may not be used.');
  });
  const parts = [];
  recorder = new MediaRecorder(stream);
  recorder.addEventListener('dataavailable', ({ data }) => parts.push(data));
  recorder.addEventListener('stop', () => {
    for (const track of stream.getTracks()) track.stop();
    choose(new Blob(parts, { type: recorder.mimeType }), 'recording.webm');
    $('record').textContent = 'Record one';
    recorder = undefined;
  });
  recorder.start();
  $('record').textContent = 'Stop recording';
}

function addSentence(text = '') {
  const item = document.createElement('li');
  const input = document.createElement('input');
  const remove = document.createElement('button');
  Object.assign(input, { type: 'text', value: text, placeholder: 'the red car on the left' });
  Object.assign(remove, { type: 'button', textContent: 'Remove' });
  remove.addEventListener('click', () => {
    item.remove();
    number();
    $('add').focus();
  });
  item.append(document.createElement('span'), input, remove);
  $('sentences').append(item);
  number();
  return input;
}

/** Colours and names go by the place in the list, as on the server. */
function number() {
  [...$('sentences').children].forEach((item, index) => {
    const [swatch, input, remove] = item.children;
    swatch.className = 'colour';
    swatch.style.background = `rgb(${colour(index)})`;
    input.setAttribute('aria-label', `Sentence ${index + 1}`);
    remove.setAttribute('aria-label', `Remove sentence ${index + 1}`);
  });
}

$('add').addEventListener('click', () => addSentence().focus());
addSentence();

// ── the server ──

async function ask(path, options = {}) {
  const key = $('key').value.trim();
  const headers = { ...options.headers, ...(key && { authorization: `Bearer ${key}` }) };
  const response = await fetch(path.replace(/^\//, ''), { ...options, headers });
  if (response.ok) return response;
  if (response.status === 401) $('key-field').hidden = false;
  const problem = await response.json().catch(() => ({}));
  throw new Error(problem.detail ?? `The server answers ${response.status}.`);
}

/** Lines of a text that comes piece by piece. */
async function* lines(response) {
  const decoder = new TextDecoder();
  let rest = '';
  for (const reader = response.body.getReader(); ; ) {
    const { value, done } = await reader.read();
    const parts = (rest + decoder.decode(value, { stream: !done })).split('\n');
    rest = parts.pop();
    yield* parts;
    if (done) break;
  }
  if (rest) yield rest;
}

$('form').addEventListener('submit', (event) => {
  event.preventDefault();
  told(segment);
});
$('cancel').addEventListener('click', () => job && told(() => ask(job.links.self, { method: 'DELETE' })));

async function segment() {
  const texts = [...$('sentences').querySelectorAll('input')].map(({ value }) => value.trim()).filter(Boolean);
  if (!chosen) throw new Error('Choose a video first.');
  if (texts.length === 0) throw new Error('Write a sentence first.');
  const body = new FormData();
  for (const text of texts) body.append('sentences', text);
  body.append('video', chosen.file, chosen.name);
  busy(true);
  try {
    $('status').textContent = 'Sending the video …';
    job = await (await ask('v1/segmentations', { method: 'POST', body })).json();
    show(texts);
    await Promise.all([readMasks(), readEvents()]);
    const done = await (await ask(job.links.self)).json();
    if (done.state === 'cancelled') $('status').textContent = 'Cancelled.';
    else if (done.state !== 'done') throw new Error(done.error?.message ?? `It is ${done.state}.`);
    else finish(done);
  } finally {
    busy(false);
  }
}

async function readMasks() {
  const response = await ask(`${job.links.self}/masks`, { headers: { accept: 'application/x-ndjson' } });
  for await (const line of lines(response)) {
    const row = JSON.parse(line);
    if (row.masks) overlay.add(row);
  }
}

async function readEvents() {
  for await (const line of lines(await ask(job.links.events))) {
    if (!line.startsWith('data: ')) continue;
    const { state, progress } = JSON.parse(line.slice(6));
    if (state === 'queued') $('status').textContent = 'Waiting …';
    if (state !== 'running' || !progress) continue;
    const { frames, total_frames: total } = progress;
    $('status').textContent = total ? `${frames} of ${total} frames` : `${frames} frames`;
    if (total) Object.assign($('progress'), { max: total, value: Math.min(frames, total) });
  }
}

// ── the result ──

function show(texts) {
  overlay.clear(texts.map((_, index) => colour(index)));
  URL.revokeObjectURL($('video').src);
  $('video').src = URL.createObjectURL(chosen.file);
  $('downloads').hidden = true;
  $('legend').replaceChildren(
    ...texts.map((text, index) => {
      const item = document.createElement('li');
      const box = Object.assign(document.createElement('input'), {
        type: 'checkbox',
        checked: true,
        id: `show-${index}`,
      });
      const label = Object.assign(document.createElement('label'), { htmlFor: box.id, textContent: text });
      const swatch = document.createElement('span');
      swatch.className = 'colour';
      swatch.style.background = `rgb(${colour(index)})`;
      box.addEventListener('change', () => overlay.toggle(index, box.checked));
      item.append(swatch, box, label, Object.assign(document.createElement('output'), { htmlFor: box.id }));
      return item;
    }),
  );
  $('result').hidden = false;
}

function finish({ queries }) {
  queries.forEach(({ score }, index) => {
    const found = overlay.found(index);
    const told = found ? `score ${score.toFixed(2)}` : `nothing found (score ${score.toFixed(2)})`;
    $('legend').children[index].querySelector('output').textContent = told;
  });
  $('status').textContent = 'Done.';
  $('downloads').hidden = false;
  overlay.draw();
}

$('video').addEventListener('error', () => {
  if ($('video').getAttribute('src')) problem('This browser cannot play the video; its masks can be downloaded.');
});
$('opacity').addEventListener('input', () => overlay.fade($('opacity').value / 100));
for (const button of $('downloads').querySelectorAll('button')) {
  button.addEventListener('click', () =>
    told(async () => {
      const { links } = await (await ask(job.links.self)).json();
      const blob = await (await ask(links[button.dataset.output])).blob();
      const link = Object.assign(document.createElement('a'), { href: URL.createObjectURL(blob) });
      link.download = button.dataset.name;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
    }),
  );
}

function busy(is) {
  $('run').disabled = is;
  $('cancel').hidden = !is;
  $('progress').hidden = !is;
  $('progress').removeAttribute('value');
}

function problem(text) {
  $('problem').textContent = text;
  $('problem').hidden = text === '';
}

async function told(work) {
  problem('');
  try {
    await work();
  } catch (error) {
    $('status').textContent = '';
    problem(error.message);
  }
}

ask('v1/models').catch(() => undefined);
