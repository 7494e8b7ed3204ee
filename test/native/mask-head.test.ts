import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { maskByteLength } from '../../src/masks/mask.js';
import type { CoreAddon } from '../../src/native/core-addon.js';
import { loadCore } from '../../src/native/load-core.js';
import { shareDifferent, unpackBits } from '../support/bits.js';
import { bytesOf, floatsOf, goldenPath, readGoldens, shapeOf } from '../support/safetensors.js';

const core = loadCore();
type Job = Omit<Parameters<CoreAddon['maskHead']>[0], 'target'>;

/** Pixels of all frames, one byte each. */
async function maskHead(job: Job): Promise<Uint8Array> {
  const bytes = maskByteLength(job.width, job.height);
  const target = new Uint8Array(bytes * job.frames);
  await core.maskHead({ ...job, target });
  const pixels = job.height * job.width;
  const all = new Uint8Array(pixels * job.frames);
  for (let t = 0; t < job.frames; t++) all.set(unpackBits(target, t * bytes * 8, pixels), t * pixels);
  return all;
}

interface CaseNotes {
  videos_T_H_W: [number, number, number][];
  original_sizes: [number, number][];
  padded_size: [number, number];
  ytvos: { query: number }[];
  a2d?: { center_frame: number; predictions: { rle: { size: [number, number]; counts: string }[] }[] };
}

const cases = ['a_T8_96x160', 'b_T6_90x150_2q', 'b2_T4_mixed_sizes', 'c_T24_64x112', 'd_blocks_T10_44x60'];

describe.each(cases)('mask head on golden %s', (name) => {
  const tensors = readGoldens(goldenPath(`cases/${name}.safetensors`));
  const notes = JSON.parse(readFileSync(goldenPath(`cases/${name}.json`), 'utf8')) as CaseNotes;
  const logits = floatsOf(tensors, 'pred_masks');
  const [frames, batch, queries, featureHeight, featureWidth] = shapeOf(tensors, 'pred_masks') as [
    number,
    number,
    number,
    number,
    number,
  ];
  const plane = featureHeight * featureWidth;

  function sizes(clip: number): Omit<Job, 'kernels' | 'features' | 'frames' | 'kernelSize'> {
    return {
      featureHeight,
      featureWidth,
      paddedHeight: notes.padded_size[0],
      paddedWidth: notes.padded_size[1],
      resizedHeight: notes.videos_T_H_W[clip]![1],
      resizedWidth: notes.videos_T_H_W[clip]![2],
      height: notes.original_sizes[clip]![0],
      width: notes.original_sizes[clip]![1],
    };
  }

  function logitPlanes(clip: number, query: number, times: readonly number[]): Float32Array {
    const planes = new Float32Array(times.length * plane);
    for (const [i, t] of times.entries()) {
      const start = ((t * batch + clip) * queries + query) * plane;
      planes.set(logits.subarray(start, start + plane), i * plane);
    }
    return planes;
  }

  it.each(notes.ytvos.map((chosen, clip) => ({ clip, query: chosen.query })))(
    'gives the masks of clip $clip from its logits',
    async ({ clip, query }) => {
      const features = logitPlanes(clip, query, [...Array(frames).keys()]);
      const kernels = new Float32Array(frames).fill(1);
      const actual = await maskHead({ kernels, features, frames, kernelSize: 1, ...sizes(clip) });
      const expected = unpackBits(bytesOf(tensors, `ytvos.masks_packed.${clip}`), 0, actual.length);
      expect(shareDifferent(actual, expected)).toBeLessThanOrEqual(5e-5);
    },
  );

  if (tensors.has('spatial_decoder')) {
    it('gives the masks from kernels and features', async () => {
      const features = floatsOf(tensors, 'spatial_decoder');
      const all = floatsOf(tensors, 'instance_kernels');
      const kernelSize = shapeOf(tensors, 'instance_kernels').at(-1)!;
      const lastLayer = all.subarray(all.length - frames * queries * kernelSize);
      const query = notes.ytvos[0]!.query;
      const kernels = new Float32Array(frames * kernelSize);
      for (let t = 0; t < frames; t++) {
        const start = (t * queries + query) * kernelSize;
        kernels.set(lastLayer.subarray(start, start + kernelSize), t * kernelSize);
      }
      const actual = await maskHead({ kernels, features, frames, kernelSize, ...sizes(0) });
      const expected = unpackBits(bytesOf(tensors, 'ytvos.masks_packed.0'), 0, actual.length);
      expect(shareDifferent(actual, expected)).toBeLessThanOrEqual(5e-4);
    });
  }

  if (notes.a2d) {
    const { center_frame, predictions } = notes.a2d;
    it('gives the run lengths of every object query in the centre frame', async () => {
      for (const [clip, { rle }] of predictions.entries()) {
        for (const [query, { size, counts }] of rle.entries()) {
          const [height, width] = size;
          const expected = unpackBits(core.rleDecode(counts, height, width), 0, height * width);
          expect(core.rleEncode(core.rleDecode(counts, height, width), height, width)).toBe(counts);
          const features = logitPlanes(clip, query, [center_frame]);
          const job = { kernels: Float32Array.of(1), features, frames: 1, kernelSize: 1, ...sizes(clip) };
          const actual = await maskHead({ ...job, height, width });
          expect(shareDifferent(actual, expected)).toBeLessThanOrEqual(5e-4);
        }
      }
    });
  }
});

/** The definition, step by step, with whole images: logits at original size by way of the padded and resized ones. */
function referenceLogits(job: Job, frame: number): Float64Array {
  const { featureHeight: fh, featureWidth: fw, kernelSize } = job;
  const low = new Float64Array(fh * fw);
  for (let k = 0; k < kernelSize; k++) {
    const weight = job.kernels[frame * kernelSize + k]!;
    for (let i = 0; i < low.length; i++) low[i]! += weight * job.features[(frame * kernelSize + k) * low.length + i]!;
  }
  const position = (target: number, source: number, size: number): number =>
    Math.max((source / size) * (target + 0.5) - 0.5, 0);
  const padded = new Float64Array(job.paddedHeight * job.paddedWidth);
  for (let y = 0; y < job.paddedHeight; y++) {
    const py = position(y, fh, job.paddedHeight);
    const y0 = Math.floor(py);
    const y1 = Math.min(y0 + 1, fh - 1);
    for (let x = 0; x < job.paddedWidth; x++) {
      const px = position(x, fw, job.paddedWidth);
      const x0 = Math.floor(px);
      const x1 = Math.min(x0 + 1, fw - 1);
      const top = low[y0 * fw + x0]! * (1 - px + x0) + low[y0 * fw + x1]! * (px - x0);
      const bottom = low[y1 * fw + x0]! * (1 - px + x0) + low[y1 * fw + x1]! * (px - x0);
      padded[y * job.paddedWidth + x] = top * (1 - py + y0) + bottom * (py - y0);
    }
  }
  const nearest = (target: number, source: number, size: number): number =>
    Math.min(Math.floor(Math.fround(target * Math.fround(source / size))), source - 1);
  const out = new Float64Array(job.height * job.width);
  for (let y = 0; y < job.height; y++) {
    for (let x = 0; x < job.width; x++) {
      const from =
        nearest(y, job.resizedHeight, job.height) * job.paddedWidth + nearest(x, job.resizedWidth, job.width);
      out[y * job.width + x] = padded[from]!;
    }
  }
  return out;
}

describe('mask head', () => {
  it('equals the definition for any sizes', async () => {
    const side = fc.integer({ min: 1, max: 24 });
    const extra = fc.nat(9);
    const shape = fc.record({
      frames: fc.integer({ min: 1, max: 3 }),
      kernelSize: fc.integer({ min: 1, max: 5 }),
      featureHeight: side,
      featureWidth: side,
      resizedHeight: side,
      resizedWidth: side,
      height: fc.integer({ min: 1, max: 70 }),
      width: fc.integer({ min: 1, max: 70 }),
    });
    await fc.assert(
      fc.asyncProperty(
        shape,
        extra,
        extra,
        fc.infiniteStream(fc.integer({ min: -99, max: 99 })),
        async (s, h, w, r) => {
          const random = (length: number): Float32Array =>
            Float32Array.from({ length }, () => (r.next().value as number) / 25);
          const job: Job = {
            ...s,
            paddedHeight: s.resizedHeight + h,
            paddedWidth: s.resizedWidth + w,
            kernels: random(s.frames * s.kernelSize),
            features: random(s.frames * s.kernelSize * s.featureHeight * s.featureWidth),
          };
          const actual = await maskHead(job);
          for (let t = 0; t < s.frames; t++) {
            const expected = referenceLogits(job, t);
            const wrong = [...expected.keys()].filter((i) => {
              const foreground = actual[t * expected.length + i] === 1;
              return Math.abs(expected[i]!) >= 1e-3 && foreground !== expected[i]! > 0;
            });
            expect(wrong).toEqual([]);
          }
        },
      ),
      { numRuns: 200 },
    );
  });

  it('takes the float32 sigmoid’s word on tiny and odd logits', async () => {
    const logits = Float32Array.of(6e-8, 8.9e-8, 9e-8, 1, 0, -1, Number.NaN);
    const actual = await maskHead({
      kernels: new Float32Array(7).fill(1),
      features: logits,
      frames: 7,
      kernelSize: 1,
      featureHeight: 1,
      featureWidth: 1,
      paddedHeight: 1,
      paddedWidth: 1,
      resizedHeight: 1,
      resizedWidth: 1,
      height: 1,
      width: 1,
    });
    expect([...actual]).toEqual([0, 0, 1, 1, 0, 0, 0]);
  });
});
