// A column of rvos in a process of its own, so that its memory is counted apart: reads jobs from its parent and answers each.
//   forked by bench/cpu/column.mjs with { model, backend, precision, threads } as JSON
import { readFile, writeFile } from 'node:fs/promises';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { drainInto, maskedVideoOutput, masksOutput, Segmenter } from '../../dist/index.js';

const { model, ...options } = JSON.parse(process.argv[2]);
const segmenter = await Segmenter.open({ model, ...options });
process.send({ ready: true, backend: segmenter.backend.name, precision: segmenter.backend.precision ?? 'fp32' });

process.on('message', async (job) => {
  try {
    process.send(await (job.queries ? masksOfQueries(job) : run(job)));
  } catch (error) {
    process.send({ error: error.stack ?? String(error) });
  }
});

async function run(job) {
  const clips = await Promise.all(job.clips.map((clip) => prepared(clip, job)));
  const stagesBefore = stageSeconds();
  const delay = monitorEventLoopDelay({ resolution: 2 });
  delay.enable();
  const start = performance.now();
  const found = await Promise.all(clips.map((clip) => segment(clip, job)));
  const seconds = (performance.now() - start) / 1000;
  delay.disable();
  const after = stageSeconds();
  const stages = Object.fromEntries(Object.entries(after).map(([stage, s]) => [stage, s - (stagesBefore[stage] ?? 0)]));
  return {
    seconds,
    stages,
    eventLoopDelay: { p50: delay.percentile(50) / 1e6, p99: delay.percentile(99) / 1e6 },
    found: found.map(({ queries }) =>
      queries.map(({ windows }) => windows.map(({ objectQuery, score }) => ({ query: objectQuery, score }))),
    ),
  };
}

/** Seconds that the network's stages have taken since the process began, by stage. */
function stageSeconds() {
  return { ...segmenter.backend.stageSeconds };
}

/** What is ready before the clock starts: raw frames in memory. */
async function prepared(clip, { frames, height, width }) {
  if (clip.video) return clip;
  const data = await readFile(clip.frames);
  const bytes = height * width * 3;
  const pictures = Array.from({ length: frames }, (_, t) => ({
    ...{ width, height, time: t / 25 },
    data: data.subarray(t * bytes, (t + 1) * bytes),
  }));
  return { ...clip, pictures };
}

async function segment(clip, job) {
  const run = { shortSide: job.shortSide, longSide: job.longSide, minScore: 0 };
  if (clip.video) {
    const stream = segmenter.stream(clip.video, job.texts, run);
    const outputs = [masksOutput(clip.masks, { force: true }), maskedVideoOutput(clip.maskedVideo, { force: true })];
    return drainInto(stream, outputs);
  }
  // One window: the published tail would run the last 6 frames of 24 once more.
  const stream = segmenter.segmentFrames(clip.pictures, job.texts, { ...run, tail: 'anchored' });
  let count = 0;
  for await (const { masks } of stream) count += masks.length;
  if (count !== job.frames * job.texts.length) throw new Error(`${count} masks`);
  return stream.summary();
}

/**
 * Writes the masks of given object queries, which `segment` above may not have chosen; of windows alone. Gives the least
 * distance between the best referred score of a sentence and the next.
 */
async function masksOfQueries(job) {
  const tokenizer = await segmenter.model.tokenizer();
  const texts = await segmenter.backend.encodeText(job.texts.map((text) => tokenizer.prepare(text)));
  const { shortSide, longSide } = job;
  let margin = 1;
  for (const [i, clip] of job.clips.entries()) {
    const { pictures, masks } = await prepared(clip, job);
    const window = { stream: -1 - i, start: 0, frames: pictures };
    const options = { queries: 'all', preprocessing: { shortSide, longSide } };
    const { sentences } = await segmenter.backend.segment(window, texts, options);
    const bits = sentences.flatMap((sentence, p) => {
      const first = job.queries[i][p] * job.frames;
      return sentence.masks.slice(first, first + job.frames).map((mask) => mask.bits);
    });
    await writeFile(masks, Buffer.concat(bits));
    for (const { scores } of sentences) {
      const [best, next = 0] = [...scores].sort((a, b) => b - a);
      margin = Math.min(margin, best - next);
    }
  }
  return { margin };
}

process.on('disconnect', () => process.exit());
