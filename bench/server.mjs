// A server under load: clients that each send one segmentation after another, clips of several lengths and numbers of
// sentences mixed, against `rvos serve` for some minutes. Says what share of the bare backend's throughput on the same windows is
// left, how long clients wait for the first frame and for the end, and whether memory and event loop stay as they are.
//   node bench/server.mjs [--model compact] [--clients 16] [--seconds 120] [--short-side n] [--json] [--keep]
// --keep also writes bench/results/server-cpu.json.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openVideo, Segmenter } from '../dist/index.js';
import { windowFrames } from '../dist/windows.js';
import { treeBytes } from './process-tree.mjs';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string', default: 'compact' },
    clients: { type: 'string', default: '16' },
    seconds: { type: 'string', default: '120' },
    'short-side': { type: 'string' },
    json: { type: 'boolean', default: false },
    keep: { type: 'boolean', default: false },
  },
});
/** Short clips come often, long ones seldom. */
const kinds = [
  { name: 'short', seconds: 1, sentences: ['the red disc'], share: 6 },
  { name: 'medium', seconds: 5, sentences: ['the red disc', 'a square moving left'], share: 3 },
  { name: 'long', seconds: 30, sentences: ['the red disc', 'a square moving left', 'the blue one'], share: 1 },
];
const deck = kinds.flatMap((kind) => Array(kind.share).fill(kind));
const shortSide = options['short-side'] && Number(options['short-side']);
const scratch = mkdtempSync(join(tmpdir(), 'rvos-bench-server-'));
const told = (line) => process.stderr.write(`${line}\n`);
let server;
try {
  for (const kind of kinds) {
    kind.path = join(scratch, `${kind.name}.mp4`);
    const source = `testsrc2=s=480x320:r=12:d=${kind.seconds}`;
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p'];
    execFileSync('ffmpeg', ['-v', 'error', '-f', 'lavfi', '-i', source, ...encode, kind.path]);
  }
  told('the bare backend …');
  await measureBackend();
  told('the server …');
  const result = await measureServer();
  if (options.keep) {
    const file = join(import.meta.dirname, 'results/server-cpu.json');
    writeFileSync(file, `${JSON.stringify(result, null, 2)}\n`);
  }
  process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : table(result));
} finally {
  server?.kill('SIGKILL');
  rmSync(scratch, { recursive: true, force: true });
}

/** Seconds that the windows of each clip take where nothing but the backend runs: frames are decoded before. */
async function measureBackend() {
  const segmenter = await Segmenter.open({ model: options.model });
  const { model, backend } = segmenter;
  const tokenizer = await model.tokenizer();
  let stream = 0;
  for (const kind of kinds) {
    const reader = await openVideo(kind.path);
    const windows = [];
    const frames = [];
    for await (const frame of reader.frames()) frames.push({ ...frame, data: Uint8Array.from(frame.data) });
    await reader.close();
    for await (const window of windowFrames(frames, model.windows)) windows.push(window);
    kind.windows = windows.length;
    kind.frames = frames.length;
    const texts = await backend.encodeText(kind.sentences.map((sentence) => tokenizer.prepare(sentence)));
    const preprocessing = shortSide === undefined ? {} : { shortSide, longSide: 2 * shortSide };
    const clip = async () => {
      const id = ++stream;
      await Promise.all(
        windows.map(({ start, frames }) => backend.segment({ stream: id, start, frames }, texts, { preprocessing })),
      );
    };
    // The first makes graphs and sessions; several at a time, as batches may want.
    await clip();
    const clips = Math.ceil(24 / windows.length);
    const began = performance.now();
    await Promise.all(Array.from({ length: clips }, clip));
    kind.backendSeconds = (performance.now() - began) / 1000 / clips;
  }
  await segmenter.dispose();
}

async function measureServer() {
  const main = join(import.meta.dirname, '../dist/cli/main.js');
  const args = [main, 'serve', '--port', '0', '--data', join(scratch, 'data'), '--model', options.model, '--quiet'];
  server = spawn(process.execPath, [...args, '--max-queue', '1000', '--min-free-disk', '0B'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  server.stderr.on('data', (data) => {
    said += data;
  });
  let address;
  while (!address) {
    if (server.exitCode !== null) throw new Error(said);
    address = / at (http:\S+)/.exec(said)?.[1];
    await sleep(20);
  }
  for (const kind of kinds) kind.data = new Blob([readFileSync(kind.path)]);
  for (const kind of kinds) await segmentation(address, kind);

  const jobs = [];
  let failures = 0;
  const memory = [];
  const lag = [];
  const began = performance.now();
  const end = began + 1000 * Number(options.seconds);
  const watch = setInterval(async () => {
    memory.push(treeBytes(server.pid) / 1e6);
    const metrics = await (await fetch(`${address}/metrics`)).text();
    lag.push(1000 * Number(/^nodejs_eventloop_lag_p99_seconds (\S+)/m.exec(metrics)?.[1]));
  }, 1000);
  let next = 0;
  const client = async () => {
    while (performance.now() < end) {
      // Every seventh, so that neighbours differ.
      const kind = deck[(7 * next++) % deck.length];
      try {
        jobs.push({ kind, ...(await segmentation(address, kind)) });
      } catch (error) {
        failures++;
        told(String(error));
      }
    }
  };
  await Promise.all(Array.from({ length: Number(options.clients) }, client));
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watch);
  const windows = sum(jobs, ({ kind }) => kind.windows);
  const bareSeconds = sum(jobs, ({ kind }) => kind.backendSeconds);
  const quarter = Math.ceil(memory.length / 4);
  server.kill('SIGTERM');
  return {
    ...{
      date: new Date().toISOString().slice(0, 10),
      processor: cpus()[0].model.trim(),
      cores: availableParallelism(),
    },
    ...{
      model: options.model,
      shortSide: shortSide ?? null,
      clients: Number(options.clients),
      seconds,
      jobs: jobs.length,
      failures,
    },
    windowsPerSecond: windows / seconds,
    backendWindowsPerSecond: windows / bareSeconds,
    shareOfBackend: bareSeconds / seconds,
    kinds: kinds.map(({ name, frames, windows, sentences }) => {
      const own = jobs.filter(({ kind }) => kind.name === name);
      return {
        ...{ name, frames, windows, sentences: sentences.length, jobs: own.length },
        firstFrameSeconds: percentiles(own.map(({ first }) => first)),
        doneSeconds: percentiles(own.map(({ done }) => done)),
      };
    }),
    eventLoopDelayP99Milliseconds: percentiles(lag),
    memoryMB: {
      second_quarter: mean(memory.slice(quarter, 2 * quarter)),
      last_quarter: mean(memory.slice(-quarter)),
      peak: Math.max(...memory),
    },
  };
}

/** Sends one and reads its frames as they come: seconds until the first and until the end. */
async function segmentation(address, { data, sentences }) {
  const body = new FormData();
  for (const sentence of sentences) body.append('sentences', sentence);
  body.append('outputs', 'masks');
  if (shortSide !== undefined) {
    body.append('short_side', String(shortSide));
    body.append('long_side', String(2 * shortSide));
  }
  body.append('video', data, 'clip.mp4');
  const began = performance.now();
  const headers = { accept: 'application/x-ndjson' };
  const response = await fetch(`${address}/v1/segmentations`, { method: 'POST', body, headers });
  if (!response.ok) throw new Error(`answered ${response.status}: ${await response.text()}`);
  let first;
  let tail = '';
  for await (const piece of response.body) {
    first ??= (performance.now() - began) / 1000;
    tail = (tail + Buffer.from(piece).toString()).slice(-20_000);
  }
  if (!/"state":"done"/.test(tail)) throw new Error(`ended otherwise: ${tail.slice(-300)}`);
  return { first, done: (performance.now() - began) / 1000 };
}

function sum(list, value) {
  return list.reduce((total, each) => total + value(each), 0);
}

function mean(list) {
  return list.length === 0 ? 0 : sum(list, (value) => value) / list.length;
}

function percentiles(values) {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}

function table(result) {
  const line = ({ p50, p95, p99 }, digits = 2) => [p50, p95, p99].map((value) => value?.toFixed(digits)).join(' / ');
  return `${[
    `${result.clients} clients, ${result.seconds.toFixed(0)} s: ${result.jobs} jobs, ${result.failures} failures`,
    `${result.windowsPerSecond.toFixed(2)} windows/s, bare backend ${result.backendWindowsPerSecond.toFixed(2)}: ${(100 * result.shareOfBackend).toFixed(1)} %`,
    ...result.kinds.map(
      ({ name, jobs, firstFrameSeconds, doneSeconds }) =>
        `${name}: ${jobs} jobs; first frame p50/p95/p99 ${line(firstFrameSeconds)} s; done ${line(doneSeconds)} s`,
    ),
    `event loop delay (p99 of a second) p50/p95/p99 ${line(result.eventLoopDelayP99Milliseconds, 1)} ms`,
    `memory of the process tree: ${result.memoryMB.second_quarter.toFixed(0)} MB in the second quarter, ${result.memoryMB.last_quarter.toFixed(0)} in the last, peak ${result.memoryMB.peak.toFixed(0)}`,
  ].join('\n')}\n`;
}
