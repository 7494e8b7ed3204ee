import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';

import { maskByteLength } from '../../src/masks/mask.js';
import { loadCore } from '../../src/native/load-core.js';
import { fromHalf } from '../../src/tensors/float16.js';
import { shareDifferent, unpackBits } from '../support/bits.js';
import { halvesOf, type MaskHeadJob, randomNumbers } from '../support/kernel-jobs.js';
import { bytesOf, floatsOf, goldenPath, readGoldens, shapeOf } from '../support/safetensors.js';

const core = loadCore();
type Job = Omit<MaskHeadJob, 'target'>;

async function maskHeadBatch(job: Job): Promise<Uint8Array> {
  const masks = job.sentences * (job.chosen ? 1 : job.objectQueries) * job.frames;
  const target = new Uint8Array(masks * maskByteLength(job.width, job.height)).fill(0xff);
  await core.maskHeadBatch({ ...job, target });
  return target;
}

/** The same masks one by one through `maskHead`, from the features as floats. */
async function maskByMask(job: Job): Promise<Uint8Array> {
  const bytes = maskByteLength(job.width, job.height);
  const features = job.features instanceof Uint16Array ? fromHalf(job.features) : job.features;
  const planes = job.kernelSize * job.featureHeight * job.featureWidth;
  const queries = job.chosen ? 1 : job.objectQueries;
  const all = new Uint8Array(job.sentences * queries * job.frames * bytes);
  for (let p = 0; p < job.sentences; p++) {
    const count = job.frameCount?.[job.window?.[p] ?? p] ?? job.frames;
    for (let q = 0; q < queries; q++) {
      for (let t = 0; t < count; t++) {
        const image = p * job.frames + t;
        const kernel = (image * job.objectQueries + (job.chosen?.[p] ?? q)) * job.kernelSize;
        const at = ((p * queries + q) * job.frames + t) * bytes;
        await core.maskHead({
          ...job,
          frames: 1,
          kernels: job.kernels.subarray(kernel, kernel + job.kernelSize),
          features: features.subarray(image * planes, (image + 1) * planes),
          target: all.subarray(at, at + bytes),
        });
      }
    }
  }
  return all;
}

interface CaseNotes {
  videos_T_H_W: [number, number, number][];
  original_sizes: [number, number][];
  padded_size: [number, number];
  ytvos: { query: number }[];
}

describe.each(['a_T8_96x160', 'b_T6_90x150_2q', 'b2_T4_mixed_sizes', 'c_T24_64x112', 'd_blocks_T10_44x60'])(
  'maskHeadBatch on golden %s',
  (name) => {
    const tensors = readGoldens(goldenPath(`cases/${name}.safetensors`));
    const notes = JSON.parse(readFileSync(goldenPath(`cases/${name}.json`), 'utf8')) as CaseNotes;
    const [frames, batch, queries, featureHeight, featureWidth] = shapeOf(tensors, 'pred_masks') as [
      number,
      number,
      number,
      number,
      number,
    ];

    function sizes(clip: number) {
      const [[paddedHeight, paddedWidth], [height, width]] = [notes.padded_size, notes.original_sizes[clip]!];
      const [, resizedHeight, resizedWidth] = notes.videos_T_H_W[clip]!;
      return { featureHeight, featureWidth, paddedHeight, paddedWidth, resizedHeight, resizedWidth, height, width };
    }

    it('gives the published masks from logits rounded to halves', async () => {
      const logits = floatsOf(tensors, 'pred_masks');
      const plane = featureHeight * featureWidth;
      for (const [clip, { query }] of notes.ytvos.entries()) {
        const features = new Float32Array(frames * plane);
        for (let t = 0; t < frames; t++) {
          const start = ((t * batch + clip) * queries + query) * plane;
          features.set(logits.subarray(start, start + plane), t * plane);
        }
        const actual = await maskHeadBatch({
          kernels: new Float32Array(frames).fill(1),
          features: halvesOf(features),
          sentences: 1,
          frames,
          objectQueries: 1,
          kernelSize: 1,
          ...sizes(clip),
        });
        const pixels = sizes(clip).height * sizes(clip).width;
        const bits = maskByteLength(sizes(clip).width, sizes(clip).height) * 8;
        const expected = bytesOf(tensors, `ytvos.masks_packed.${clip}`);
        for (let t = 0; t < frames; t++) {
          const mask = unpackBits(actual, t * bits, pixels);
          expect(shareDifferent(mask, unpackBits(expected, t * pixels, pixels))).toBeLessThanOrEqual(5e-4);
        }
      }
    });

    if (tensors.has('spatial_decoder')) {
      it('gives the published masks from kernels and features of all object queries', async () => {
        const kernelSize = shapeOf(tensors, 'instance_kernels').at(-1)!;
        const all = floatsOf(tensors, 'instance_kernels');
        const job = {
          kernels: all.subarray(all.length - frames * queries * kernelSize),
          features: floatsOf(tensors, 'spatial_decoder'),
          sentences: 1,
          frames,
          objectQueries: queries,
          chosen: Int32Array.of(notes.ytvos[0]!.query),
          kernelSize,
          ...sizes(0),
        };
        const pixels = job.height * job.width;
        const bits = maskByteLength(job.width, job.height) * 8;
        const expected = bytesOf(tensors, 'ytvos.masks_packed.0');
        for (const features of [job.features, halvesOf(job.features)]) {
          const actual = await maskHeadBatch({ ...job, features });
          for (let t = 0; t < frames; t++) {
            const mask = unpackBits(actual, t * bits, pixels);
            expect(shareDifferent(mask, unpackBits(expected, t * pixels, pixels))).toBeLessThanOrEqual(5e-4);
          }
          expect(actual).toEqual(await maskByMask({ ...job, features }));
        }
      });
    }
  },
);

describe('maskHeadBatch', () => {
  const next = randomNumbers(7);
  const between = (low: number, high: number): number => low + (next() % (high - low + 1));
  /** Smooth enough for masks with shapes, rough enough to cross 0 often. */
  const values = (length: number): Float32Array => Float32Array.from({ length }, () => (next() / 2 ** 32 - 0.5) * 8);

  type Sizes = Omit<Job, 'kernels' | 'features' | 'sentences' | 'frames' | 'objectQueries' | 'kernelSize'>;

  function jobOf(
    shape: Sizes & { kernelSize: number; sentences?: number; frames?: number; objectQueries?: number },
  ): Job {
    const { sentences = 1, frames = 1, objectQueries = 1 } = shape;
    const images = sentences * frames;
    return {
      ...shape,
      sentences,
      frames,
      objectQueries,
      kernels: values(images * objectQueries * shape.kernelSize),
      features: halvesOf(values(images * shape.kernelSize * shape.featureHeight * shape.featureWidth)),
    };
  }

  async function check(job: Job): Promise<void> {
    const actual = await maskHeadBatch(job);
    const { kernels: _, features: __, ...what } = job;
    const wanted = await maskByMask(job);
    const at = actual.findIndex((byte, i) => byte !== wanted[i]);
    if (at >= 0) expect.fail(`byte ${at} is ${actual[at]}, not ${wanted[at]}: ${JSON.stringify(what)}`);
  }

  function anySizes(most: number): Sizes {
    const side = (): number => (next() % 4 === 0 ? between(1, 5) : between(1, most));
    const [resizedHeight, resizedWidth] = [side(), side()];
    const padding = (): number => (next() % 2 === 0 ? 0 : between(1, 33));
    return {
      featureHeight: between(1, 40),
      featureWidth: between(1, 40),
      resizedHeight,
      resizedWidth,
      paddedHeight: resizedHeight + padding(),
      paddedWidth: resizedWidth + padding(),
      height: side(),
      width: side(),
    };
  }

  it('equals maskHead for any sizes, kernels, and features of either type', async () => {
    for (let run = 0; run < 600; run++) {
      const kernelSize = next() % 2 === 0 ? 8 : between(1, 64);
      const job = jobOf({ ...anySizes(run % 10 === 0 ? 300 : 90), kernelSize });
      await check(run % 3 === 0 ? { ...job, features: fromHalf(job.features as Uint16Array) } : job);
    }
  });

  it.each([
    // A mask of less than a word, of a word and a bit, rows of less than a word, strips whose last word is shared.
    [3, 5],
    [1, 33],
    [1, 1],
    [33, 1],
    [100, 7],
    [65, 31],
    [64, 64],
    [97, 96],
    [31, 129],
    [1, 5000],
    [5000, 1],
  ])('equals maskHead at the edges: %i×%i', async (height, width) => {
    for (const kernelSize of [8, 3]) {
      const sizes = { featureHeight: 23, featureWidth: 40, paddedHeight: 92, paddedWidth: 160 };
      await check(jobOf({ ...sizes, resizedHeight: 90, resizedWidth: 155, height, width, kernelSize }));
    }
  });

  it('equals maskHead where a strip does not fit in a block’s memory', async () => {
    const wide = { featureHeight: 6, featureWidth: 9, paddedHeight: 24, paddedWidth: 36 };
    await check(jobOf({ ...wide, resizedHeight: 22, resizedWidth: 36, height: 35, width: 12001, kernelSize: 8 }));
    const far = { featureHeight: 800, featureWidth: 20, paddedHeight: 3200, paddedWidth: 80 };
    await check(jobOf({ ...far, resizedHeight: 3200, resizedWidth: 79, height: 40, width: 61, kernelSize: 5 }));
  });

  it('makes the mask of each sentence’s object query in the frames of its window, others are empty', async () => {
    const job = jobOf({
      ...{ featureHeight: 12, featureWidth: 20, paddedHeight: 48, paddedWidth: 80 },
      ...{ resizedHeight: 45, resizedWidth: 80, height: 61, width: 107 },
      ...{ kernelSize: 8, sentences: 4, frames: 5, objectQueries: 6 },
    });
    const chosen = Int32Array.of(5, 0, 3, 3);
    await check({ ...job, chosen });
    await check({ ...job, chosen, frameCount: Int32Array.of(5, 1, 0, 4) });
    const window = Int32Array.of(1, 0, 1, 1);
    await check({ ...job, chosen, frameCount: Int32Array.of(2, 3), window });
  });

  it('makes the masks of all object queries on the features’ own grid', async () => {
    for (const [featureHeight, featureWidth] of [
      [23, 40],
      [9, 11],
      [90, 160],
    ] as const) {
      const grid = { paddedHeight: featureHeight, paddedWidth: featureWidth };
      const job = jobOf({
        ...{ featureHeight, featureWidth, ...grid, resizedHeight: featureHeight, resizedWidth: featureWidth },
        ...{ height: featureHeight, width: featureWidth },
        ...{ kernelSize: 8, sentences: 2, frames: 3, objectQueries: 4 },
      });
      await check({ ...job, frameCount: Int32Array.of(3, 2) });
    }
  });

  it('reads every half as the number it is', async () => {
    // Two one-pixel comparisons a half: it is above the float32 before its value, and not above its value.
    const halves = Uint16Array.from({ length: 2 ** 16 }, (_, bits) => bits).filter(
      (bits) => (bits & 0x7c00) !== 0x7c00,
    );
    const exact = fromHalf(halves);
    const [one, scale] = [0x3c00, 2 ** 30];
    const unit = { featureHeight: 1, featureWidth: 1, paddedHeight: 1, paddedWidth: 1, resizedHeight: 1 };
    for (const below of [true, false]) {
      const kernels = new Float32Array(halves.length * 2);
      const features = new Uint16Array(halves.length * 2);
      for (const [i, value] of exact.entries()) {
        kernels.set([scale, -(below ? before(value) : value) * scale], 2 * i);
        features.set([halves[i]!, one], 2 * i);
      }
      const actual = await maskHeadBatch({
        ...{ kernels, features, sentences: 1, frames: halves.length, objectQueries: 1, kernelSize: 2 },
        ...{ ...unit, resizedWidth: 1, height: 1, width: 1 },
      });
      // Before ±0 lies a number too small for the threshold.
      const wrong = exact.findIndex((value, i) => (actual[i] === 0x80) !== (below && value !== 0));
      expect(wrong < 0 ? 'none' : exact[wrong]).toBe('none');
    }
  });
});

/** The float32 before a number. */
function before(value: number): number {
  const bits = new Int32Array(Float32Array.of(value).buffer);
  bits[0]! += value > 0 ? -1 : 1;
  return new Float32Array(bits.buffer)[0]!;
}
