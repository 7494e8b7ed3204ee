// One window of the published network's size (24×360×640) with two sentences, through the SDK on ONNX Runtime: seconds,
// peak memory of the process tree, and what of the machine's matrix rate that is.
//   node bench/window.mjs [--model DIR] [--sentences 2] [--runs 3] [--json]
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { openModelFolder, Segmenter } from '../dist/index.js';
import { Operators } from '../dist/model/onnx/operators.js';
import { watchPeak } from './process-tree.mjs';
import { makePublishedSizeModel } from './published-size-model.mjs';

const { values: options } = parseArgs({
  options: {
    model: { type: 'string' },
    sentences: { type: 'string', default: '2' },
    runs: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
    // Set by the script itself: measures matrix rate and backbone alone, in a process whose memory does not count.
    alone: { type: 'boolean', default: false },
  },
});
const frames = 24;
const [height, width] = [360, 640];
// model-spec §13, 12 text tokens: GFLOP of the backbone, and of what each sentence costs after it.
const backboneGflop = 1122.5;
const sentenceGflop = 240.0 + 31.6 + 74.6 + 2.0;

const threads = availableParallelism();
const scratch = await mkdtemp(join(tmpdir(), 'rvos-window-'));
try {
  const folder = options.model ?? join(scratch, 'model');
  if (!existsSync(folder)) {
    process.stderr.write('making a random model of the published size …\n');
    await makePublishedSizeModel(folder);
  }
  if (options.alone) {
    const rates = { matrixRate: await measureMatrixRate(), backboneSeconds: await measureBackbone(folder) };
    process.stdout.write(JSON.stringify(rates));
    process.exit(0);
  }
  const self = fileURLToPath(import.meta.url);
  const alone = spawnSync(process.execPath, [self, '--alone', '--model', folder], { stdio: ['ignore', 'pipe', 2] });
  const { matrixRate, backboneSeconds } = JSON.parse(alone.stdout.toString());
  const sentences = Array.from(
    { length: Number(options.sentences) },
    (_, i) => `the person in black riding bike number ${i + 1}`,
  );
  const runs = [];
  const peak = watchPeak();
  const segmenter = await Segmenter.open({ model: folder, backend: 'onnxruntime' });
  for (let run = 0; run <= Number(options.runs); run++) {
    const start = performance.now();
    const stream = segmenter.segmentFrames(clip(run), sentences, {
      shortSide: height,
      longSide: width,
      // One window: the published tail would run the last 6 frames once more.
      tail: 'anchored',
    });
    let count = 0;
    for await (const frame of stream) count += frame.masks.length;
    if (count !== frames * sentences.length) throw new Error(`${count} masks`);
    const seconds = (performance.now() - start) / 1000;
    process.stderr.write(`run ${run}: ${seconds.toFixed(2)} s\n`);
    // The first run also makes the sessions.
    runs.push(seconds);
  }
  const peakBytes = peak.stop();
  await segmenter.dispose();
  const [first, ...warm] = runs;
  const seconds = warm.sort((a, b) => a - b)[Math.floor(warm.length / 2)];
  const gflop = backboneGflop + sentences.length * sentenceGflop;
  const result = {
    threads,
    sentences: sentences.length,
    firstSeconds: first,
    seconds,
    framesPerSecond: frames / seconds,
    peakGB: peakBytes / 1e9,
    gflopPerSecond: gflop / seconds,
    backboneSeconds,
    backboneGflopPerSecond: backboneGflop / backboneSeconds,
    matrixGflopPerSecond: matrixRate,
    backboneShareOfMatrixRate: backboneGflop / backboneSeconds / matrixRate,
  };
  if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
  else console.table(Object.fromEntries(Object.entries(result).map(([k, v]) => [k, Number(v.toPrecision(4))])));
} finally {
  await rm(scratch, { recursive: true, force: true });
}

/** Frames of noise in motion: values do not change the time. */
async function* clip(seed) {
  for (let t = 0; t < frames; t++) {
    const data = new Uint8Array(height * width * 3);
    for (let i = 0; i < data.length; i++) data[i] = (i * 31 + t * 977 + seed * 13 + ((i * t) >> 7)) & 255;
    yield { width, height, data, time: t / 24 };
  }
}

/** GFLOP/s of one large product on ONNX Runtime with all threads: what the machine can do. */
async function measureMatrixRate() {
  const n = 2048;
  const weights = new Map([
    ['w.weight', { offset: 0, length: n * n * 4, shape: [n, n] }],
    ['w.bias', { offset: n * n * 4, length: n * 4, shape: [n] }],
  ]);
  const g = new Operators({ name: 'product', opset: 20, stored: 'fp32', compute: 'fp32', weights });
  g.output('y', g.linear(g.input('x', 'float', [n, n]), 'w'));
  await writeFile(join(scratch, 'weights.bin'), new Uint8Array((n * n + n) * 4));
  await writeFile(join(scratch, 'product.onnx'), g.build());
  const session = await InferenceSession.create(join(scratch, 'product.onnx'), { intraOpNumThreads: threads });
  const feeds = { x: new Tensor('float32', new Float32Array(n * n).fill(0.5), [n, n]) };
  let best = Number.POSITIVE_INFINITY;
  for (let i = 0; i < 12; i++) {
    const start = performance.now();
    await session.run(feeds);
    best = Math.min(best, performance.now() - start);
  }
  await session.release();
  return (2 * n ** 3) / best / 1e6;
}

/** Seconds of the backbone alone, median of three. */
async function measureBackbone(folder) {
  const model = await openModelFolder(folder);
  const path = await model.graphPath('backbone', { frames, height, width });
  const session = await InferenceSession.create(path, { intraOpNumThreads: threads, enableMemPattern: false });
  const x = Float32Array.from({ length: frames * 3 * height * width }, (_, i) => Math.sin(i * 0.37));
  const feeds = { frames: new Tensor('float32', x, [1, frames, 3, height, width]) };
  const times = [];
  for (let i = 0; i < 4; i++) {
    const start = performance.now();
    await session.run(feeds);
    times.push((performance.now() - start) / 1000);
  }
  await session.release();
  return times.slice(1).sort((a, b) => a - b)[1];
}
