import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Frames, SegmentOptions, TextFeatures, WindowMasks } from '../../src/backends/backend.js';
import { CpuBackend } from '../../src/backends/cpu/cpu-backend.js';
import { StoredEngines } from '../../src/backends/tensorrt/stored-engines.js';
import { TensorRtBackend } from '../../src/backends/tensorrt.js';
import { buildEngines, type EngineBuildProgress } from '../../src/engines/build-engines.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import { loadTensorRt, probeTensorRt } from '../../src/native/load-tensorrt.js';
import type { QuerySummary, SegmentedFrame } from '../../src/results/segmented-frame.js';
import type { RunOptions } from '../../src/segment-options.js';
import { Segmenter } from '../../src/segmenter.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { openGoldenModel } from '../support/golden-model.js';
import { overlap } from '../support/mask-overlap.js';
import { bytesOf, goldenPath, readGoldens } from '../support/safetensors.js';
import { OnnxStages, type SimulatedAddon, simulatedAddon } from '../support/simulated-device.js';

// Reasons are told where there is an NVIDIA GPU, which this machine need not have.
vi.mock('../../src/native/nvidia-driver.js', () => ({ hasNvidiaDriver: () => true }));

/*
 * The whole way on the simulated device: the addon as it is, its kernels by their CPU twins, the engines' graphs on ONNX
 * Runtime. Beside it the ONNX Runtime backend.
 */

const code = (name: string) =>
  expect.objectContaining({ name: name === 'ABORTED' ? 'AbortError' : 'RvosError', code: name });
let model: ModelFolder;
let scratch: string;
let remove: () => Promise<void>;
let addon: SimulatedAddon;
let stages: OnnxStages;
let exact: CpuBackend;

beforeAll(async () => {
  ({ model, scratch, remove } = await openGoldenModel());
  process.env.RVOS_TENSORRT_FLAVOR = 'simulated';
  addon = simulatedAddon();
  addon.load({ infer: '', parser: '' });
  stages = new OnnxStages();
  addon.setStageRunner(stages.run);
  exact = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
});
afterAll(async () => {
  delete process.env.RVOS_TENSORRT_FLAVOR;
  await exact.dispose();
  await stages.release();
  await remove();
});
afterEach(() => addon.simulatedDevice.limitMemory(Number.MAX_SAFE_INTEGER));

const pixels = bytesOf(readGoldens(goldenPath('e2e/e2e.safetensors')), 'frames');
const clip: RgbFrame[] = Array.from({ length: 40 }, (_, i) => {
  return { width: 96, height: 64, data: pixels.subarray(i * 18432, (i + 1) * 18432), time: i / 12 };
});
const video = goldenPath('e2e/clip_rgb_lossless.mp4');
const sentences = ['a red ball', 'the white car'];
const rule = { shortSide: 64, longSide: 120 };
const tiny = { shortSide: 32, longSide: 60 };

function windowOf(stream: number, start: number, end: number): Frames {
  return { stream, start, frames: clip.slice(start, end) };
}

async function encode(backend: TensorRtBackend | CpuBackend, ...texts: string[]): Promise<TextFeatures[]> {
  const tokenizer = await model.tokenizer();
  return backend.encodeText(texts.map((text) => tokenizer.prepare(text)));
}

/** A backend over engines that compute in FP32, built when first used: what differs from ONNX Runtime is a mistake. */
function openExactly(): TensorRtBackend {
  const [device] = addon.devices();
  const libraryVersion = addon.version;
  const engines = new StoredEngines({
    model,
    store: new EngineStore(join(scratch, 'engines-fp32')),
    host: { flavor: 'simulated', libraryVersion, device: device! },
    precision: 'fp32',
    build: { builder: { addon, libraryVersion }, signal: new AbortController().signal },
  });
  return new TensorRtBackend({ model, addon, device: 0, engines });
}

function expectSame(found: WindowMasks, expected: WindowMasks, where = ''): void {
  expect(found.sentences.length).toBe(expected.sentences.length);
  found.sentences.forEach((sentence, i) => {
    const other = expected.sentences[i]!;
    expect(sentence.objectQuery, where).toBe(other.objectQuery);
    expect(sentence.masks.length, where).toBe(other.masks.length);
    expect(overlap(sentence.masks, other.masks), where).toBeGreaterThanOrEqual(0.995);
    for (const [query, score] of sentence.scores.entries()) expect(score).toBeCloseTo(other.scores[query]!, 4);
    expect(sentence.score).toBe(sentence.scores[sentence.objectQuery]);
  });
}

interface Run {
  readonly frames: readonly SegmentedFrame[];
  readonly queries: readonly QuerySummary[];
}

async function runOn(segmenter: Segmenter, path: string, texts: readonly string[], options: RunOptions): Promise<Run> {
  const stream = segmenter.stream(path, texts, options);
  const frames: SegmentedFrame[] = [];
  for await (const frame of stream) frames.push(frame);
  return { frames, queries: stream.summary().queries };
}

/** Of engines in FP16 against FP32. */
function expectSameVideo(found: Run, expected: Run, what: string): void {
  const objectQueries = ({ queries }: Run) => queries.map((query) => query.windows.map((window) => window.objectQuery));
  expect(objectQueries(found), what).toEqual(objectQueries(expected));
  for (const sentence of expected.queries.keys()) {
    const masks = ({ frames }: Run) => frames.map((frame) => frame.masks[sentence]!);
    expect(overlap(masks(found), masks(expected)), what).toBeGreaterThanOrEqual(0.99);
  }
}

describe('a segmenter with backend tensorrt', () => {
  const run = (segmenter: Segmenter, options: RunOptions = {}) =>
    runOn(segmenter, video, sentences, { ...rule, ...options });

  it('says which engine is missing and how to build it', async () => {
    await using segmenter = await Segmenter.open({
      model: model.path,
      backend: 'tensorrt',
      engines: join(scratch, 'none'),
    });
    expect(segmenter.backend.name).toBe('tensorrt');
    const running = run(segmenter);
    await expect(running).rejects.toThrow(code('ENGINE_MISSING'));
    await expect(running).rejects.toHaveProperty('hint', expect.stringMatching(/rvos build --model .*--build/));
  });

  it('builds engines first where that is wanted, and gives the masks of FP32 on ONNX Runtime', async () => {
    const engines = join(scratch, 'engines');
    const progress: EngineBuildProgress[] = [];
    await using segmenter = await Segmenter.open({
      ...{ model: model.path, backend: 'tensorrt', engines, build: true },
      onBuildProgress: (state) => progress.push(state),
    });
    const reference = Segmenter.around(model, exact);
    for (const options of [{}, { tail: 'anchored' }, { linkWindows: true }, { minScore: 0.5 }] as const) {
      const found = await run(segmenter, options);
      expectSameVideo(found, await run(reference, options), JSON.stringify(options));
    }
    expect(new Set(progress.map(({ engine }) => engine))).toEqual(
      new Set(['text-encoder', 'backbone-short-64x96', 'backbone-long-64x96', 'transformer-64x96']),
    );
    // What is built is found again, by `auto` too.
    await using again = await Segmenter.open({ model: model.path, engines });
    expect(again.backend.name).toBe('tensorrt');
    expect(again.backendReason).toMatch(/simulated device .* on /);
    expect((await run(again, { tail: 'anchored' })).frames).toHaveLength(40);
    // A size that has no engines: no silent change of backend.
    const other = run(again, { shortSide: 40, longSide: 100 });
    await expect(other).rejects.toThrow(code('ENGINE_MISSING'));
    await expect(other).rejects.toHaveProperty('hint', expect.stringContaining('--backend onnxruntime'));
  });

  it('gives the masks of the compact model', async () => {
    const compact = await openModelFolder('compact');
    const graphs = new OnnxStages();
    const reference = new CpuBackend({ runtime: 'onnxruntime', model: compact, threads: 2 });
    const demo = new URL('../../examples/demo.mp4', import.meta.url).pathname;
    const { sentences: texts } = JSON.parse(readFileSync(demo.replace(/mp4$/, 'json'), 'utf8'));
    const engines = join(scratch, 'engines-compact');
    addon.setStageRunner(graphs.run);
    try {
      await using segmenter = await Segmenter.open({ model: compact.path, backend: 'tensorrt', engines, build: true });
      const found = await runOn(segmenter, demo, texts, {});
      expectSameVideo(found, await runOn(Segmenter.around(compact, reference), demo, texts, {}), 'compact');
      // More than one window, and something to compare.
      expect(found.frames.length).toBeGreaterThan(compact.windows.length);
      expect(found.frames.some(({ masks }) => masks.some(({ bits }) => bits.some((byte) => byte !== 0)))).toBe(true);
    } finally {
      addon.setStageRunner(stages.run);
      await reference.dispose();
      await graphs.release();
    }
  });

  it('on the command line ends with one line where an engine is missing', () => {
    const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;
    const args = ['segment', '--model', model.path, '--backend', 'tensorrt', '--short-side', '48', '--long-side', '99'];
    const { status, stdout, stderr } = spawnSync(process.execPath, [entry, ...args, video, 'a red ball'], {
      env: { ...process.env, RVOS_ENGINES: join(scratch, 'none') },
      encoding: 'utf8',
    });
    expect([status, stdout]).toEqual([1, '']);
    expect(stderr).toMatch(
      /^rvos: there is no TensorRT engine of .*\. Build it: rvos build --model .*, or give --build\n$/,
    );
  });

  it('auto takes ONNX Runtime where there are no engines, and says so', async () => {
    vi.stubEnv('RVOS_KIT', scratch); // where OpenVINO would be looked for
    await using segmenter = await Segmenter.open({ model: model.path, engines: join(scratch, 'none') });
    vi.unstubAllEnvs();
    expect(segmenter.backend.name).toBe('onnxruntime');
    expect(segmenter.backendReason).toMatch(/no TensorRT engines of .* in .*none/);
  });

  it('auto takes ONNX Runtime where there are engines of something else alone', async () => {
    const root = join(scratch, 'foreign');
    const [device] = addon.devices();
    await buildEngines({
      ...{ model, sizes: [], root, builder: { addon, libraryVersion: '0.0.1' } },
      target: { kind: 'device', device: device! },
    });
    vi.stubEnv('RVOS_KIT', scratch); // where OpenVINO would be looked for
    await using segmenter = await Segmenter.open({ model: model.path, engines: root });
    vi.unstubAllEnvs();
    expect(segmenter.backend.name).toBe('onnxruntime');
    expect(segmenter.backendReason).toMatch(/0\.0\.1/);
  });
});

describe('the tensorrt backend', () => {
  it('equals ONNX Runtime at every length from 1 to 24', async () => {
    await using backend = openExactly();
    const texts = await encode(backend, 'a red ball');
    const expectedTexts = await encode(exact, 'a red ball');
    const options = { preprocessing: tiny };
    for (let t = 1; t <= 24; t++) {
      const found = await backend.segment(windowOf(t, 3, 3 + t), texts, options);
      expectSame(found, await exact.segment(windowOf(t, 3, 3 + t), expectedTexts, options), `T=${t}`);
    }
  });

  it.each<[string, SegmentOptions, [number, number]]>([
    ['all object queries', { queries: 'all' }, [0, 9]],
    ['kept frames', { frames: [4] }, [0, 9]],
    ['several kept frames of a long window', { frames: [0, 5, 20], queries: 'all' }, [0, 24]],
    ['kept frames of a short window', { frames: [1, 2] }, [0, 5]],
    ['no antialias', { preprocessing: { ...tiny, antialias: false } }, [0, 8]],
  ])('equals it with %s', async (_, options, [start, end]) => {
    await using backend = openExactly();
    const wanted = { preprocessing: tiny, ...options };
    const found = await backend.segment(windowOf(1, start, end), await encode(backend, ...sentences), wanted);
    const expected = await exact.segment(windowOf(50, start, end), await encode(exact, ...sentences), wanted);
    expectSame(found, expected);
  });

  it('equals it with more sentences than a batch takes', async () => {
    await using backend = openExactly();
    const many = Array.from({ length: 11 }, (_, i) => `ball number ${i}`);
    const wanted = { preprocessing: tiny };
    const found = await backend.segment(windowOf(1, 0, 4), await encode(backend, ...many), wanted);
    expectSame(found, await exact.segment(windowOf(51, 0, 4), await encode(exact, ...many), wanted));
  });

  it('links to the same object query', async () => {
    await using backend = openExactly();
    const texts = await encode(backend, 'a red ball');
    const expectedTexts = await encode(exact, 'a red ball');
    const preprocessing = rule;
    const all = await exact.segment(windowOf(52, 0, 8), expectedTexts, { preprocessing, queries: 'all' });
    const { masks, scores } = all.sentences[0]!;
    for (const query of scores.keys()) {
      const link = [masks.slice(query * 8, query * 8 + 3)];
      const found = await backend.segment(windowOf(1, 0, 8), texts, { preprocessing, link });
      expectSame(found, await exact.segment(windowOf(52, 0, 8), expectedTexts, { preprocessing, link }));
    }
  });

  it('brings frames to the device once, also those of windows that are under way', async () => {
    await using backend = openExactly();
    const texts = await encode(backend, 'a red ball');
    const options = { preprocessing: tiny };
    const uploaded = async (windows: readonly Frames[]) => {
      const before = addon.simulatedDevice.counters().hostToDeviceBytes;
      const results = await Promise.all(windows.map((window) => backend.segment(window, texts, options)));
      return { results, bytes: addon.simulatedDevice.counters().hostToDeviceBytes - before };
    };
    // Both slots have what does not depend on the window then.
    await uploaded([windowOf(5, 0, 24), windowOf(6, 0, 4), windowOf(7, 0, 24)]);
    const shared = await uploaded([windowOf(1, 0, 24), windowOf(1, 18, 40), windowOf(1, 36, 40)]);
    const apart = await uploaded([windowOf(2, 0, 24), windowOf(3, 18, 40), windowOf(4, 36, 40)]);
    // 6 + 4 frames less.
    expect(apart.bytes - shared.bytes).toBeGreaterThanOrEqual(10 * 18432);
    expect(shared.results).toEqual(apart.results);
  });

  it('holds nothing of the device after an abort in the middle and dispose', async () => {
    const before = addon.simulatedDevice.counters();
    const backend = openExactly();
    const texts = await encode(backend, ...sentences);
    const expected = await backend.segment(windowOf(1, 0, 24), texts, { preprocessing: tiny });
    for (let i = 0; i < 6; i++) {
      const controller = new AbortController();
      const calls = [2, 3, 4].map((stream) =>
        backend
          .segment(windowOf(stream, 0, 24), texts, { preprocessing: tiny, signal: controller.signal })
          .catch((error: unknown) => error),
      );
      await new Promise((resolve) => setTimeout(resolve, 8 * i));
      controller.abort();
      for (const outcome of await Promise.all(calls)) {
        if (outcome instanceof Error) expect(outcome).toEqual(code('ABORTED'));
      }
    }
    expect(await backend.segment(windowOf(5, 0, 24), texts, { preprocessing: tiny })).toEqual(expected);
    await backend.dispose();
    const after = addon.simulatedDevice.counters();
    expect([after.deviceBytes, after.pinnedBytes]).toEqual([before.deviceBytes, before.pinnedBytes]);
  });

  it('allocates nothing for a window once it has seen its like', async () => {
    await using backend = openExactly();
    const texts = await encode(backend, ...sentences);
    const run = (first: number) =>
      Promise.all([0, 1, 2].map((i) => backend.segment(windowOf(first + i, 0, 24), texts, { preprocessing: tiny })));
    await run(1);
    await run(4);
    const before = addon.simulatedDevice.counters();
    await run(7);
    const after = addon.simulatedDevice.counters();
    expect(after.deviceAllocations).toBe(before.deviceAllocations);
    expect(after.pinnedAllocations).toBe(before.pinnedAllocations);
  });

  it('tells when memory of the device does not suffice, and works on', async () => {
    await using backend = openExactly();
    const texts = await encode(backend, 'a red ball');
    const expected = await backend.segment(windowOf(1, 0, 8), texts, { preprocessing: tiny });
    addon.simulatedDevice.limitMemory(addon.simulatedDevice.counters().deviceBytes + 1000);
    // Another size would need a second pipeline, and the first one is too small a gain.
    const large = backend.segment(windowOf(2, 0, 8), texts, { preprocessing: { shortSide: 256, longSide: 500 } });
    await expect(large).rejects.toThrow(code('OUT_OF_MEMORY'));
    addon.simulatedDevice.limitMemory(Number.MAX_SAFE_INTEGER);
    expect(await backend.segment(windowOf(3, 0, 8), texts, { preprocessing: tiny })).toEqual(expected);
  });
});

it('is what RVOS_TENSORRT_FLAVOR names', async () => {
  expect((await probeTensorRt()).map(({ flavor, usable }) => [flavor, usable])).toEqual([['simulated', true]]);
  expect((await loadTensorRt()).addon).toBe(addon);
});
