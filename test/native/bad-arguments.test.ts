import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import type { CoreAddon } from '../../src/native/core-addon.js';
import { loadCore } from '../../src/native/load-core.js';

const core = loadCore();
type Job = Record<string, unknown>;
type AsyncName = 'resize' | 'normalise' | 'maskHead' | 'preprocessBatch' | 'maskHeadBatch' | 'overlay';

/** A small valid job of each asynchronous function; the byte arrays are exactly as long as they must be. */
const jobs: Record<AsyncName, () => Job> = {
  resize: () => ({
    source: new Uint8Array(4 * 5 * 3),
    height: 4,
    width: 5,
    target: new Uint8Array(2 * 3 * 3),
    targetHeight: 2,
    targetWidth: 3,
    antialias: true,
  }),
  normalise: () => ({
    source: new Uint8Array(2 * 3 * 4 * 3),
    frames: 2,
    height: 3,
    width: 4,
    mean: [0.5, 0.5, 0.5],
    std: [0.2, 0.2, 0.2],
    target: new Float32Array(2 * 3 * 4 * 3),
  }),
  maskHead: () => ({
    kernels: new Float32Array(2 * 3),
    features: new Float32Array(2 * 3 * 4 * 5),
    frames: 2,
    kernelSize: 3,
    featureHeight: 4,
    featureWidth: 5,
    paddedHeight: 16,
    paddedWidth: 20,
    resizedHeight: 15,
    resizedWidth: 19,
    height: 30,
    width: 37,
    target: new Uint8Array(2 * Math.ceil((30 * 37) / 8)),
  }),
  preprocessBatch: () => ({
    source: new Uint8Array(2 * (3 * 17 + 15)),
    frames: 2,
    format: 'rgb',
    matrix: 'bt601',
    height: 4,
    width: 5,
    pitch: 17,
    target: new Uint16Array(2 * 3 * 2 * 3),
    targetHeight: 2,
    targetWidth: 3,
    antialias: true,
    mean: [0.5, 0.5, 0.5],
    std: [0.2, 0.2, 0.2],
  }),
  maskHeadBatch: () => ({
    kernels: new Float32Array(2 * 2 * 3 * 4),
    features: new Uint16Array(2 * 2 * 4 * 4 * 5),
    sentences: 2,
    frames: 2,
    objectQueries: 3,
    kernelSize: 4,
    featureHeight: 4,
    featureWidth: 5,
    paddedHeight: 16,
    paddedWidth: 20,
    resizedHeight: 15,
    resizedWidth: 19,
    height: 30,
    width: 37,
    target: new Uint8Array(2 * 3 * 2 * Math.ceil((30 * 37) / 8)),
  }),
  overlay: () => ({
    source: new Uint8Array(3 * 3 * 3),
    height: 3,
    width: 3,
    masks: [new Uint8Array(2), new Uint8Array(2)],
    colors: new Uint8Array(6),
    alpha: 0.7,
    target: new Uint8Array(3 * 3 * 3),
  }),
};

/** Runs a job that need not be of the right type; what it throws at once and what it rejects with look alike. */
async function run(name: AsyncName, job: unknown): Promise<void> {
  await (core[name] as (job: unknown) => Promise<void>).call(core, job);
}

const nonsense: unknown[] = [undefined, null, 'text', '7', {}, [], true, Number.NaN, -1, 0, 1.5, 2 ** 40, Symbol('s')];

describe.each(Object.keys(jobs) as AsyncName[])('%s', (name) => {
  it('accepts the smallest buffers that fit', async () => {
    await expect(run(name, jobs[name]())).resolves.toBeUndefined();
  });

  it.each([undefined, null, 3, 'job'])('refuses %s instead of a job', async (job) => {
    await expect(run(name, job)).rejects.toThrow(TypeError);
  });

  it.each(Object.keys(jobs[name]()))('refuses nonsense as %s, naming it', async (field) => {
    const valid = jobs[name]()[field];
    for (const value of nonsense) {
      if (typeof value === typeof valid && typeof value !== 'object' && typeof value !== 'number') continue;
      const error: unknown = await run(name, { ...jobs[name](), [field]: value }).then(
        () => undefined,
        (reason: unknown) => reason,
      );
      // Small numbers are fine as alpha, and an empty list of masks is fine.
      if (error === undefined) expect([0, []]).toContainEqual(value);
      else expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
      if (error instanceof Error) expect(error.message).toContain(`${name}: `);
    }
  });

  const arrays = Object.entries(jobs[name]()).filter(([, value]) => ArrayBuffer.isView(value));
  it.each(arrays.map(([field]) => field))('refuses a %s that is one element short', async (field) => {
    const job = jobs[name]();
    const array = job[field] as Uint8Array | Uint16Array | Float32Array;
    await expect(run(name, { ...job, [field]: array.subarray(0, -1) })).rejects.toThrow(RangeError);
    await expect(run(name, { ...job, [field]: new DataView(array.buffer) })).rejects.toThrow(TypeError);
    await expect(run(name, { ...job, [field]: new Int16Array(array.length) })).rejects.toThrow(TypeError);
  });

  it('refuses a buffer that was transferred away', async () => {
    const job = jobs[name]();
    const target = job.target as Uint8Array;
    structuredClone(target.buffer, { transfer: [target.buffer as ArrayBuffer] });
    await expect(run(name, job)).rejects.toThrow(RangeError);
  });

  it('survives random jobs', async () => {
    const value = fc.oneof(
      fc.integer({ min: -2, max: 40 }),
      fc.double(),
      fc.uint8Array({ maxLength: 50 }),
      fc.float32Array({ maxLength: 50 }),
      fc.boolean(),
      fc.array(fc.oneof(fc.double(), fc.uint8Array({ maxLength: 4 })), { maxLength: 4 }),
    );
    const fields = Object.keys(jobs[name]());
    const changes = fc.dictionary(fc.constantFrom(...fields), value, { maxKeys: 3 });
    await fc.assert(
      fc.asyncProperty(changes, async (change) => {
        const error: unknown = await run(name, { ...jobs[name](), ...change }).catch((reason: unknown) => reason);
        if (error !== undefined) expect(error instanceof TypeError || error instanceof RangeError).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('particular bounds', () => {
  it('the resized size is no larger than the padded one', async () => {
    await expect(run('maskHead', { ...jobs.maskHead(), resizedHeight: 17 })).rejects.toThrow('padded size');
    await expect(run('maskHeadBatch', { ...jobs.maskHeadBatch(), resizedWidth: 21 })).rejects.toThrow('padded size');
  });

  it('products do not overflow', async () => {
    const huge = { height: 2 ** 19, width: 2 ** 19, frames: 2 ** 19 };
    await expect(run('normalise', { ...jobs.normalise(), ...huge })).rejects.toThrow(RangeError);
    await expect(run('resize', { ...jobs.resize(), ...huge })).rejects.toThrow(RangeError);
    await expect(run('maskHead', { ...jobs.maskHead(), ...huge, kernelSize: 2 ** 19 })).rejects.toThrow(RangeError);
    const large = { ...huge, pitch: 2 ** 19 };
    await expect(run('preprocessBatch', { ...jobs.preprocessBatch(), ...large })).rejects.toThrow(RangeError);
    const all = { frames: 2 ** 19, sentences: 2 ** 19, objectQueries: 2 ** 19 };
    await expect(run('maskHeadBatch', { ...jobs.maskHeadBatch(), ...all })).rejects.toThrow(RangeError);
  });

  it('a pitch is at least a row of pixels', async () => {
    await expect(run('preprocessBatch', { ...jobs.preprocessBatch(), pitch: 14 })).rejects.toThrow('pitch is shorter');
    const nv12 = { ...jobs.preprocessBatch(), format: 'nv12', source: new Uint8Array(100) };
    await expect(run('preprocessBatch', { ...nv12, pitch: 5 })).rejects.toThrow('pitch is shorter');
    await expect(run('preprocessBatch', { ...nv12, pitch: 6 })).resolves.toBeUndefined();
  });

  it('formats and matrices are those that are known', async () => {
    for (const format of ['yuv', 'RGB', '']) {
      await expect(run('preprocessBatch', { ...jobs.preprocessBatch(), format })).rejects.toThrow('rgb, bgr, nv12');
    }
    await expect(run('preprocessBatch', { ...jobs.preprocessBatch(), matrix: 'bt2020' })).rejects.toThrow('bt709');
  });

  it('positions lie within the target', async () => {
    const job = { ...jobs.preprocessBatch(), target: new Float32Array(3 * 18 + 17) };
    await expect(run('preprocessBatch', { ...job, positions: Int32Array.of(2, -1) })).resolves.toBeUndefined();
    for (const positions of [Int32Array.of(0, 3), Int32Array.of(-2, 0), Int32Array.of(0), new Int32Array(3)]) {
      await expect(run('preprocessBatch', { ...job, positions })).rejects.toThrow(RangeError);
    }
    await expect(run('preprocessBatch', { ...job, positions: [0, 1] })).rejects.toThrow(TypeError);
    const none = { ...job, target: new Float32Array(17), positions: Int32Array.of(-1, -1) };
    await expect(run('preprocessBatch', none)).rejects.toThrow(RangeError);
  });

  it('indices of sentences lie within what they point to', async () => {
    const job = jobs.maskHeadBatch();
    const accepted = { chosen: Int32Array.of(0, 2), window: Int32Array.of(1, 0), frameCount: Int32Array.of(0, 2) };
    await expect(run('maskHeadBatch', { ...job, ...accepted })).resolves.toBeUndefined();
    for (const wrong of [
      { chosen: Int32Array.of(0, 3) },
      { chosen: Int32Array.of(-1, 0) },
      { chosen: Int32Array.of(0) },
      { window: Int32Array.of(2, 0) },
      { window: Int32Array.of(-1, 0) },
      { frameCount: Int32Array.of(0, 3) },
      { frameCount: Int32Array.of(0, -1) },
    ]) {
      await expect(run('maskHeadBatch', { ...job, ...accepted, ...wrong })).rejects.toThrow(RangeError);
    }
    await expect(run('maskHeadBatch', { ...job, chosen: 1 })).rejects.toThrow(TypeError);
  });

  it('a deviation is positive', async () => {
    await expect(run('preprocessBatch', { ...jobs.preprocessBatch(), std: [1, 0, 1] })).rejects.toThrow('positive');
    await expect(run('normalise', { ...jobs.normalise(), std: [1, 0, 1] })).rejects.toThrow('positive');
  });

  it('alpha lies between 0 and 1', async () => {
    await expect(run('overlay', { ...jobs.overlay(), alpha: 1.01 })).rejects.toThrow(RangeError);
  });

  it('every mask of an overlay covers the frame', async () => {
    const masks = [new Uint8Array(2), new Uint8Array(1)];
    await expect(run('overlay', { ...jobs.overlay(), masks })).rejects.toThrow('masks[1]');
  });
});

describe('synchronous functions', () => {
  const loose = core as unknown as Record<keyof CoreAddon, (...values: unknown[]) => unknown>;

  it.each([
    ['rleEncode', [new Uint8Array(2), 4, 4]],
    ['rleDecode', ['`0', 4, 4]],
    ['maskStatistics', [new Uint8Array(2), 4, 4]],
    ['maskOverlap', [new Uint8Array(2), new Uint8Array(2)]],
  ] as [keyof CoreAddon, unknown[]][])('%s checks each argument', (name, valid) => {
    loose[name](...valid);
    for (let i = 0; i < valid.length; i++) {
      for (const value of [...nonsense, new Uint8Array(1), new Float32Array(9)]) {
        if (typeof value === 'string' && typeof valid[i] === 'string') continue;
        const call = (): unknown => loose[name](...valid.map((v, k) => (k === i ? value : v)));
        expect(call, `${name} argument ${i}`).toThrow(/must|needs|differ|pixels/);
      }
    }
    expect(() => loose[name]()).toThrow();
  });

  it('a hostile size allocates nothing', () => {
    expect(() => core.rleDecode('0', 2 ** 19, 2 ** 19)).toThrow('268435456 pixels');
  });
});
