#!/usr/bin/env node
// `npm run bench:gpu`: the window pipeline on the GPU that is present, a network of the published size with random weights,
// 24×360×640 (docs/gpu.md says what each figure means). Milliseconds a window and frames a second for some numbers of
// sentences and windows in a batch, by stage; shares of the GPU's FP16 matrix rate and copy bandwidth; PyTorch FP16 doing
// the published algorithm. All measured in this run. Writes bench/results/gpu-<device>.json.
//
//   node bench/gpu.mjs [--windows 1,2,4] [--sentences 1,2,8] [--batches 40] [--in-flight 2] [--python python3]
//                      [--no-pytorch | --pytorch FILE] [--model DIR] [--size 360x640] [--matrix 8192] [--no-1080p]
//                      [--engines DIR] [--out FILE] [--json]
//
// --pytorch FILE  figures of bench/pytorch/published.py that were measured just before: [{ mode, … }, …]
// --engines DIR   where engines are kept, DIR/engines-<windows> (default: build/bench-gpu)
// --no-1080p      without the kernels' larger job
//
// The file is written anew after each number of sentences: what was measured stays, whatever comes next.
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { requireGpu } from '../scripts/require-gpu.mjs';
import { exitWith, root } from '../scripts/run.mjs';

const { values: options } = parseArgs({
  options: {
    windows: { type: 'string', default: '1,2,4' },
    sentences: { type: 'string', default: '1,2,8' },
    batches: { type: 'string', default: '40' },
    'in-flight': { type: 'string', default: '2' },
    python: { type: 'string', default: process.env.RVOS_PYTHON ?? 'python3' },
    'no-pytorch': { type: 'boolean', default: false },
    pytorch: { type: 'string' },
    'no-1080p': { type: 'boolean', default: false },
    engines: { type: 'string' },
    model: { type: 'string' },
    size: { type: 'string', default: '360x640' },
    matrix: { type: 'string', default: '8192' },
    out: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const numbers = (text) => text.split(',').map(Number);
const [height, width] = options.size.split('x').map(Number);
const size = { height, width };
const isPublishedSize = options.model === undefined && options.size === '360x640';
/** Frames of a window, and those that it shares with the one before. */
const frames = 24;
const overlap = 6;
// docs/model-spec.md §13: GFLOP of a window's backbone at 24×360×640, and of a sentence after it (12 tokens; the text encoder
// runs once a video).
const published = { backbone: 1122.5, sentence: 240.0 + 31.6 + 74.6 };

let gpu;
try {
  gpu = await requireGpu('bench:gpu');
} catch (error) {
  exitWith(error);
}
const { probe, device } = gpu;
const { loadTensorRt } = await import('../dist/native/load-tensorrt.js');
const { openModelFolder } = await import('../dist/index.js');
const { buildEngines } = await import('../dist/engines/build-engines.js');
const { EngineStore } = await import('../dist/engines/engine-store.js');
const { measureMatrixRate } = await import('./gpu/matrix-rate.mjs');
const { measureLatency, measurePipeline, measureStages, openPipeline } = await import('./gpu/pipeline-speed.mjs');
const { kernelBytes, kernelShares } = await import('./gpu/kernel-bandwidth.mjs');
const { measurePytorch } = await import('./gpu/pytorch.mjs');
const { printReport } = await import('./gpu/report.mjs');
const { makePublishedSizeModel, publishedConfig } = await import('./published-size-model.mjs');

const { addon, flavor, libraryVersion } = await loadTensorRt(probe.flavor);
const work = join(root, 'build', 'bench-gpu');
await mkdir(work, { recursive: true });
const modelFolder = options.model ?? join(work, 'published-size');
if (!existsSync(join(modelFolder, 'model.json'))) {
  say('making a random model of the published size …');
  await makePublishedSizeModel(modelFolder);
}
const model = await openModelFolder(modelFolder);
const host = { flavor, libraryVersion, device };

say('copy bandwidth …');
const largeCopy = await addon.measureCopies({ device: device.index, bytes: 2 ** 30, runs: 30 });
say('matrix rate …');
const matrixRate = await measureMatrixRate({ addon, host, folder: work, n: Number(options.matrix) });

const enginesRoot = options.engines ?? work;
const out =
  options.out ?? join(root, 'bench', 'results', `gpu-${device.name.toLowerCase().replace(/[^a-z0-9]+/g, '-')}.json`);
await mkdir(dirname(out), { recursive: true });
const freeBytes = () => addon.devices().find(({ index }) => index === device.index)?.freeBytes ?? null;
const memory = { freeBytesBefore: freeBytes(), freeBytesAfter: null };
const runs = [];
const latencies = [];
let kernels = {};
let plan;
let pytorch = options.pytorch ? JSON.parse(await readFile(options.pytorch, 'utf8')) : [];
/** Engines of an earlier number of windows, whose text encoder is the same. */
let earlier;
for (const windows of numbers(options.windows)) {
  const engines = await enginesFor(windows);
  const opened = await openPipeline({ addon, device, model, engines, inFlight: Number(options['in-flight']) });
  plan = opened.pipeline.plan;
  try {
    for (const sentences of numbers(options.sentences)) {
      say(`windows a batch: ${windows}, sentences: ${sentences} …`);
      const common = { windows, sentences, source: size, frames, batches: Number(options.batches) };
      const fresh = await measurePipeline(opened, common);
      const video = await measurePipeline(opened, { ...common, overlap });
      // Batches that run side by side share the GPU: what a stage takes is seen when nothing else is under way.
      const stages = await measureStages(opened, common);
      const gflop = published.backbone + sentences * published.sentence;
      // What other networks and sizes cost is not known here.
      const ofMatrixRate = (gigaflop, milliseconds) =>
        isPublishedSize ? (gigaflop * 1e9) / (milliseconds / 1000) / matrixRate : null;
      runs.push({
        windows,
        sentences,
        ...fresh,
        stages,
        videoFramesPerSecond: video.framesPerSecond,
        shareOfMatrixRate: ofMatrixRate(gflop, fresh.millisecondsPerWindow),
        backboneShareOfMatrixRate: ofMatrixRate(published.backbone, stages.backbone),
      });
      if (windows === 1) latencies.push({ sentences, milliseconds: await measureLatency(opened, common) });
      // The last batch is the largest: there the launch of a kernel counts least.
      const bytes = kernelBytes({ model, size, source: size, frames, sentences });
      kernels = {
        windows,
        sentences,
        ...(await kernelShares({ addon, device, stages, bytes, windows, largeCopy })),
      };
      await write();
    }
    if (!options['no-1080p']) {
      say('frames of 1080×1920 …');
      const source = { height: 1080, width: 1920 };
      const job = { windows, sentences: 1, source, frames };
      const large = await measurePipeline(opened, { ...job, batches: 20 });
      const bytes = kernelBytes({ model, size, source, frames, sentences: 1 });
      const stages = await measureStages(opened, job);
      const shares = await kernelShares({ addon, device, stages, bytes, windows, largeCopy });
      kernels.from1080p = { windows, sentences: 1, ...shares, framesPerSecond: large.framesPerSecond };
      await write();
    }
  } finally {
    await opened.pipeline.dispose();
  }
}

if (!options['no-pytorch'] && !options.pytorch) {
  pytorch = await measurePytorch({
    ...{ python: options.python, folder: work, frames, size, sentences: numbers(options.sentences) },
    config: isPublishedSize ? publishedConfig : model.architecture,
  });
}
memory.freeBytesAfter = freeBytes();
const result = await write();
if (options.json) process.stdout.write(`${JSON.stringify(result)}\n`);
else printReport(result);
say(`written to ${out}`);

/** What has been measured so far, written beside and renamed. */
async function write() {
  const result = {
    date: new Date().toISOString(),
    device: { ...device },
    cpu: cpus()[0]?.model ?? 'unknown',
    tensorrt: { flavor, version: libraryVersion },
    network: isPublishedSize ? 'published size, random weights' : model.name,
    window: { frames, ...size },
    inFlight: Number(options['in-flight']),
    memory,
    memoryPlan: plan,
    matrixFlopPerSecond: matrixRate,
    copyBytesPerSecond: largeCopy,
    runs,
    latencies,
    kernels,
    pytorch,
    ratios: ratios(),
  };
  await writeFile(`${out}.tmp`, `${JSON.stringify(result, null, 2)}\n`);
  await rename(`${out}.tmp`, out);
  return result;
}

function say(line) {
  process.stderr.write(`bench:gpu: ${line}\n`);
}

/** Engines whose profile's optimum is this number of windows; kept from run to run. */
async function enginesFor(windows) {
  const folder = join(enginesRoot, `engines-${windows}`);
  await takeTextEncoder(folder);
  const sentences = Math.max(8, ...numbers(options.sentences));
  say(`engines for batches of up to ${windows} …`);
  const { engines } = await buildEngines({
    ...{ model, sizes: [size], root: folder, limits: { windows, sentences } },
    builder: { addon, libraryVersion },
    target: { kind: 'device', device },
  });
  const built = engines.filter(({ reused }) => !reused);
  if (built.length > 0) {
    say(built.map(({ name, manifest }) => `${name} in ${manifest.build.seconds.toFixed(0)} s`).join(', '));
  }
  earlier = folder;
  return new EngineStore(folder).findSize(model, size, host);
}

/** The text encoder does not depend on the number of windows: the one that was built first is built no second time. */
async function takeTextEncoder(folder) {
  if (!earlier || earlier === folder) return;
  for (const name of await readdir(earlier, { recursive: true })) {
    if (!/(^|\/)text-encoder\.(engine|json)$/.test(name)) continue;
    await cp(join(earlier, name), join(folder, name), { force: false });
  }
}

/** How many times as long PyTorch takes as the fastest batch size, for each number of sentences. */
function ratios() {
  return pytorch.flatMap(({ mode, available, results }) =>
    (available ? results : []).map(({ sentences, milliseconds }) => {
      const own = Math.min(
        ...runs.filter((run) => run.sentences === sentences).map(({ millisecondsPerWindow }) => millisecondsPerWindow),
      );
      return { mode, sentences, ratio: milliseconds / own };
    }),
  );
}
