import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type {
  NativePipeline,
  PipelineBatch,
  PipelineOptions,
  StageTensor,
} from '../../../../src/native/tensorrt-addon.js';
import { noise } from '../../../support/compare.js';
import { NoiseVideo, normalisation, sentence, source } from '../../../support/plain-pipeline.js';
import { type SimulatedAddon, type StageCall, simulatedAddon } from '../../../support/simulated-device.js';
import { writeEngine, writeSyntheticEngines } from '../../../support/synthetic-engines.js';
import { backbone, float, half, ints, limits, runSynthetic, transformer } from '../../../support/synthetic-network.js';

/* What the runtime part of the addon refuses, in one line that names the field, and single stages. */

let addon: SimulatedAddon;
let folder: string;
let options: PipelineOptions;
let pipeline: NativePipeline;

beforeAll(async () => {
  addon = simulatedAddon();
  addon.setStageRunner((call) => (call.engine.includes('text') ? runText(call) : runSynthetic(call)));
  folder = await mkdtemp(join(tmpdir(), 'rvos-pipeline-'));
  options = { ...limits, ...normalisation, device: 0, engines: await writeSyntheticEngines(folder) };
  pipeline = await addon.openPipeline(options);
});
afterAll(async () => {
  await pipeline.dispose();
  await rm(folder, { recursive: true, force: true });
});

function runText({ inputs }: StageCall): Record<string, StageTensor> {
  const [p, s] = inputs.input_ids!.shape as [number, number];
  const ids = inputs.input_ids!.data as BigInt64Array;
  const mask = inputs.attention_mask!.data as BigInt64Array;
  const features = Float32Array.from({ length: p * s * 6 }, (_, i) => {
    const token = Math.floor(i / 6);
    return Number(ids[token]! * mask[token]!) + (i % 6) / 8;
  });
  return { text_features: float([p, s, 6], features) };
}

const refused = (message: RegExp, code = 'BAD_ARGUMENT') =>
  expect.objectContaining({ code, message: expect.stringMatching(message) });

function batch(): PipelineBatch {
  return {
    windows: [new NoiseVideo(1, 3).window(0, 3)],
    sentences: [{ window: 0, ...sentence(1, 4) }],
    source: { ...source, format: 'rgb', pitch: 3 * source.width },
    antialias: true,
    queries: 'best',
  };
}

/** The batch with one field, named by its path, given another value. */
function changed(path: string, value: unknown): PipelineBatch {
  const whole = batch();
  let at = whole as unknown as Record<string, unknown>;
  const keys = path.split('.');
  for (const key of keys.slice(0, -1)) at = at[key] as Record<string, unknown>;
  at[keys.at(-1)!] = value;
  return whole;
}

const short = new Uint8Array(3 * source.width * source.height - 1);
const frame = new Uint8Array(3 * source.width * source.height);

describe('run', () => {
  it.each<[string, unknown, RegExp]>([
    ['windows', [], /windows' number is 0, must be from 1 to 3/],
    ['windows', 'none', /batch\.windows must be an array/],
    ['windows', new Array(4).fill(new NoiseVideo(1, 1).window(0, 1)), /windows' number is 4/],
    ['windows.0.count', 2, /windows\[0\]\.frames' number is 3, must be from 2 to 2/],
    ['windows.0.count', 25, /windows\[0\]\.count is 25, must be from 1 to 24/],
    ['windows.0.count', 2.5, /batch\.windows\[0\]\.count must be a whole number/],
    ['windows.0.shared', 4, /windows\[0\]\.shared is 4, must be from 0 to 3/],
    ['windows.0.start', -1, /batch\.windows\[0\]\.start must be a whole number from 0/],
    ['windows.0.stream', 'one', /batch\.windows\[0\]\.stream must be a whole number/],
    ['windows.0.frames.1', short, /batch\.windows\[0\]\.frames\[1\] has 4949 elements, needs 4950/],
    ['windows.0.frames.1', [...frame], /batch\.windows\[0\]\.frames\[1\] must be a Uint8Array/],
    ['sentences', undefined, /batch\.sentences must be an array/],
    ['sentences.0.window', 1, /sentences\[0\]\.window is 1, must be from 0 to 0/],
    ['sentences.0.tokens', 0, /batch\.sentences\[0\]\.tokens must be a whole number from 1 to 20/],
    ['sentences.0.tokens', 21, /batch\.sentences\[0\]\.tokens must be a whole number from 1 to 20/],
    ['sentences.0.tokens', 5, /batch\.sentences\[0\]\.features has 24 elements, needs 30/],
    ['sentences.0.features', new Float64Array(24), /batch\.sentences\[0\]\.features must be a Float32Array/],
    ['sentences.0.link', [new Uint8Array(200)], /batch\.sentences\[0\]\.link\[0\] has 200 elements, needs 207/],
    ['sentences.0.link', new Array(4).fill(new Uint8Array(207)), /sentences\[0\]\.link's length is 4/],
    ['source', null, /batch\.source must be an object/],
    ['source.height', 0, /batch\.source\.height must be a whole number from 1/],
    ['source.width', 1 << 15, /batch\.source\.width must be a whole number from 1 to 16384/],
    ['source.format', 'yuv', /batch\.source\.format is yuv, must be rgb, bgr or nv12/],
    ['source.pitch', 149, /batch\.source\.pitch must be a whole number from 150/],
    ['source.pitch', 151, /batch\.windows\[0\]\.frames\[0\] has 4950 elements, needs 4982/],
    ['antialias', 'on', /batch\.antialias must be a boolean/],
    ['keep', [], /batch\.keep is empty/],
    ['keep', [3], /keep\[0\] is 3, must be from 0 to 2/],
    ['keep', [0, 1, 2, 0, 1, 2, 0, 1, 2], /keep's length is 9, must be from 1 to 8/],
    ['queries', 'some', /batch\.queries is some, must be best or all/],
  ])('refuses %s %o', (path, value, message) => {
    expect(() => pipeline.run(changed(path, value))).toThrow(refused(message));
  });

  it('refuses windows of both forms in one batch', () => {
    const windows = [new NoiseVideo(1, 8).window(0, 8), new NoiseVideo(2, 9).window(0, 9)];
    expect(() => pipeline.run({ ...batch(), windows })).toThrow(refused(/windows of 8 and of 9 frames/));
  });

  it('goes on after all that', async () => {
    expect(await pipeline.run(batch()).done).toHaveLength(1);
    expect(() => pipeline.cancel(-1)).toThrow(refused(/cancel: id/));
    expect(() => pipeline.forget(0.5)).toThrow(refused(/forget: stream/));
  });
});

describe('opening', () => {
  it.each<[string, unknown, RegExp]>([
    ['height', 0, /height is 0, must be from 1/],
    ['longFrames', 4, /longFrames is 4, must be from 9/],
    ['tokens', 1, /tokens is 1, must be from 2/],
    ['inFlight', 17, /inFlight is 17/],
    ['streams', 0, /streams is 0/],
    ['scratchBytes', {}, /options\.scratchBytes\.short must be a whole number/],
    ['engines', { short: 'a', transformer: 'b' }, /options\.engines\.long must be a string/],
    ['mean', [1, 2], /options\.mean must be three numbers/],
    ['std', [1, 0, 1], /options\.std\[1\] must be positive/],
    ['device', -1, /options\.device must be a whole number/],
  ])('refuses %s %o', (field, value, message) => {
    const given = { ...options, [field]: value } as PipelineOptions;
    expect(() => addon.openPipeline(given)).toThrow(refused(message));
  });

  it('of a device that is not there is NO_DEVICE', async () => {
    await expect(addon.openPipeline({ ...options, device: 1 })).rejects.toEqual(
      refused(/^cudaSetDevice: /, 'NO_DEVICE'),
    );
  });

  it('of engines for other sizes is BAD_ENGINE', async () => {
    const other = { ...options, height: 24 };
    await expect(addon.openPipeline(other)).rejects.toEqual(
      refused(/short\.engine: the tensor frames is of shape/, 'BAD_ENGINE'),
    );
    const more = { ...options, windows: 4 };
    await expect(addon.openPipeline(more)).rejects.toEqual(
      refused(/short\.engine has no optimization profile 3/, 'BAD_ENGINE'),
    );
    const queries = { ...options, objectQueries: 6 };
    await expect(addon.openPipeline(queries)).rejects.toEqual(refused(/the tensor referred_score/, 'BAD_ENGINE'));
  });
});

describe('a plan of memory', () => {
  it('adds up, grows with what is asked for, and needs no device', () => {
    const plan = addon.planMemory({ ...options, source: { height: 1080, width: 1920 } });
    const sum = (side: 'deviceBytes' | 'pinnedBytes') => plan.parts.reduce((total, part) => total + part[side], 0);
    expect(sum('deviceBytes')).toBe(plan.deviceBytes);
    expect(sum('pinnedBytes')).toBe(plan.pinnedBytes);
    expect(plan.parts.map(({ name }) => name).sort()).toEqual(
      ['activations', 'features', 'frames', 'inputs', 'links', 'masks', 'outputs', 'sources', 'tails'].sort(),
    );
    // Two pieces of eight frames for each batch under way.
    const sources = plan.parts.find(({ name }) => name === 'sources')!;
    const staged = limits.inFlight * 16 * 1920 * 1080 * 3;
    expect(sources.pinnedBytes).toBeGreaterThan(staged);
    expect(sources.pinnedBytes).toBeLessThan(staged * 1.05);
    const double = addon.planMemory({ ...options, inFlight: 2 * limits.inFlight });
    const tails = plan.parts.find(({ name }) => name === 'tails')!.deviceBytes;
    const single = addon.planMemory(options);
    expect(double.deviceBytes).toBe(2 * single.deviceBytes - tails);
  });

  it('beyond all measure is OUT_OF_MEMORY', () => {
    const huge = { ...options, height: 16384, width: 16384, windows: 256, shortFrames: 900, longFrames: 1000 };
    expect(() => addon.planMemory(huge)).toThrow(refused(/more memory than any machine has/, 'OUT_OF_MEMORY'));
  });
});

describe('single stages', () => {
  const levels = (b: number, t: number) => {
    const frames = noise(b * t * 3 * 20 * 28, 7);
    return { frames, shape: [b, t, 3, 20, 28] };
  };

  it.each([1, 8, 9, 24])('backbone over %i frames', async (t) => {
    const { frames, shape } = levels(2, t);
    const found = await pipeline.runStage('backbone', { frames: float(shape, frames) });
    const expected = backbone({ frames: half(shape, frames), frame_count: ints([t, t]) });
    for (const name of ['level0', 'level1', 'level2']) {
      const { shape: dims, data } = found[name]!;
      expect(half(dims, data as Float32Array)).toEqual(expected[name]);
    }
  });

  it.each([
    [8, undefined],
    [24, [24, 11]],
  ])('transformer over %i frames', async (t, counts) => {
    const { frames, shape } = levels(2, t);
    const given = await pipeline.runStage('backbone', { frames: float(shape, frames) });
    const text_features = float([3, 5, 6], noise(3 * 5 * 6, 3));
    const data = new BigInt64Array(15).map((_, i) => (i % 5 < 3 + (i % 2) ? 1n : 0n));
    const attention_mask: StageTensor = { dtype: 'int64', shape: [3, 5], data };
    const window_index = ints([1, 0, 1]);
    const frame_count = counts && ints(counts);
    const text = { text_features, attention_mask, window_index };
    const found = await pipeline.runStage('transformer', { ...given, ...text, ...(frame_count && { frame_count }) });
    const halves = Object.fromEntries(
      ['level0', 'level1', 'level2'].map((name) => [name, half(given[name]!.shape, given[name]!.data as Float32Array)]),
    );
    const expected = transformer({ ...halves, ...text, frame_count: frame_count ?? ints([t, t]) });
    for (const name of ['referred_score', 'query_index', 'mask_kernels', 'all_mask_kernels']) {
      expect(found[name], name).toEqual(expected[name]);
    }
    const { shape: dims, data: features } = found.mask_features!;
    expect(half(dims, features as Float32Array)).toEqual(expected.mask_features);
  });

  it.each<[string, 'backbone' | 'transformer', Record<string, StageTensor>, RegExp]>([
    ['nothing', 'backbone', {}, /the input frames is missing/],
    [
      'another size',
      'backbone',
      { frames: float([1, 1, 3, 20, 20], new Float32Array(1200)) },
      /frames is of shape \[1, 1, 3, 20, 20\]/,
    ],
    [
      'too many frames',
      'backbone',
      { frames: float([1, 25, 3, 20, 28], new Float32Array(42000)) },
      /number of frames is 25/,
    ],
    [
      'no levels',
      'transformer',
      { text_features: float([1, 2, 6], new Float32Array(12)) },
      /the input level0 is missing/,
    ],
  ])('refuse %s', async (_, stage, inputs, message) => {
    await expect(pipeline.runStage(stage, inputs)).rejects.toEqual(refused(message));
  });

  it('refuse what is no tensor', () => {
    const none = undefined as unknown as StageTensor;
    expect(() => pipeline.runStage('backbone', { frames: none })).toThrow(refused(/inputs\.frames must be an object/));
    const wrong = float([1, 2, 3], new Float32Array(7));
    expect(() => pipeline.runStage('backbone', { frames: wrong })).toThrow(refused(/has 7 elements, its shape 6/));
    const name = 'head' as 'backbone';
    expect(() => pipeline.runStage(name, {})).toThrow(refused(/stage must be backbone or transformer/));
  });
});

describe('a text encoder', () => {
  it('encodes within its limits, one call after another', async () => {
    const tensors = [
      'input int64 input_ids -1 -1',
      'input int64 attention_mask -1 -1',
      'output float32 text_features -1 -1 6',
    ];
    const range = [
      [1, 2],
      [2, 5],
    ] as const;
    const engine = await writeEngine(folder, 'text', tensors, [{ input_ids: range, attention_mask: range }]);
    const encoder = await addon.openTextEncoder({ device: 0, engine, sentences: 2, tokens: 5, features: 6 });
    const job = (sentences: number, tokens: number) => {
      const inputIds = new BigInt64Array(sentences * tokens).map((_, i) => BigInt(i + 1));
      return { inputIds, attentionMask: new BigInt64Array(sentences * tokens).fill(1n), sentences, tokens };
    };
    const found = await Promise.all([encoder.encode(job(2, 5)), encoder.encode(job(1, 2))]);
    expect(found.map(({ length }) => length)).toEqual([60, 12]);
    expect([...found[1]!]).toEqual([1, 1.125, 1.25, 1.375, 1.5, 1.625, 2, 2.125, 2.25, 2.375, 2.5, 2.625]);
    expect(() => encoder.encode(job(3, 2))).toThrow(refused(/job\.sentences must be a whole number from 1 to 2/));
    expect(() => encoder.encode(job(1, 6))).toThrow(refused(/job\.tokens/));
    const few = { ...job(1, 2), inputIds: new BigInt64Array(1) };
    expect(() => encoder.encode(few)).toThrow(refused(/job\.inputIds has 1 elements, needs 2/));
    const both = [encoder.dispose(), encoder.dispose()];
    await Promise.all(both);
    await expect(encoder.encode(job(1, 2))).rejects.toEqual(refused(/disposed/, 'DISPOSED'));
  });
});
