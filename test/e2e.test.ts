import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { encodeRle } from '../src/masks/rle.js';
import type { SegmentedFrame } from '../src/results/segmented-frame.js';
import { Segmenter } from '../src/segmenter.js';
import { timestamp } from '../src/video/timestamps.js';
import { recordFigure } from './support/figures.js';
import { goldenModel } from './support/golden-model.js';
import { bytesOf, goldenPath, readGoldens } from './support/safetensors.js';

interface Variant {
  readonly resize_short: number;
  readonly max_size: number;
  readonly per_window: readonly { readonly frames: number; readonly chosen: number; readonly scores: number[] }[];
}
const golden = JSON.parse(readFileSync(goldenPath('e2e/e2e.json'), 'utf8'));
const tensors = readGoldens(goldenPath('e2e/e2e.safetensors'));
const video = goldenPath('e2e/clip_rgb_lossless.mp4');
const maskBytes = (golden.H * golden.W) / 8;

let segmenter: Segmenter;
let remove: () => Promise<void>;
beforeAll(async () => {
  const model = await goldenModel();
  remove = model.remove;
  segmenter = await Segmenter.open({ model: model.folder, backend: 'onnxruntime' });
});
afterAll(async () => {
  await segmenter.dispose();
  await remove();
});

/** Share of a frame's pixels in which a mask differs from the golden one. */
function difference(frame: SegmentedFrame, query: number, packed: Uint8Array): number {
  const from = (query * golden.N + frame.index) * maskBytes;
  let different = 0;
  frame.masks[query]!.bits.forEach((byte, i) => {
    for (let rest = byte ^ packed[from + i]!; rest; rest &= rest - 1) different++;
  });
  return different / (golden.H * golden.W);
}

describe('the whole pipeline on the lossless clip', () => {
  it.each([
    ['small', 0.02, 0.006],
    ['exact360', 0.003, 0.003],
  ])('%s: at most %d of the pixels of any frame differ, %d on average', async (name, worstAllowed, meanAllowed) => {
    const variant: Variant = golden.variants[name];
    const packed = bytesOf(tensors, `${name}.masks_packed`);
    const stream = segmenter.stream(video, golden.queries, {
      shortSide: variant.resize_short,
      longSide: variant.max_size,
      // Both variants enlarge, where antialias changes nothing but a rounding; the goldens have it on.
      antialias: true,
    });
    const differences: number[] = [];
    for await (const frame of stream) {
      for (const query of frame.masks.keys()) differences.push(difference(frame, query, packed));
    }
    expect(differences).toHaveLength(golden.queries.length * golden.N);
    recordFigure('whole pipeline, share of pixels, worst frame', name, Math.max(...differences));
    recordFigure(
      'whole pipeline, share of pixels, mean',
      name,
      differences.reduce((a, b) => a + b) / differences.length,
    );
    expect(Math.max(...differences)).toBeLessThanOrEqual(worstAllowed);
    expect(differences.reduce((sum, value) => sum + value, 0) / differences.length).toBeLessThanOrEqual(meanAllowed);

    const { queries, times, video: info } = stream.summary();
    const windows = queries.flatMap((query) => query.windows);
    expect(windows.map(({ objectQuery }) => objectQuery)).toEqual(variant.per_window.map(({ chosen }) => chosen));
    windows.forEach(({ score, start, end }, i) => {
      const { scores, chosen, frames } = variant.per_window[i]!;
      expect(end - start).toBe(frames);
      expect(Math.abs(score - scores[chosen]!)).toBeLessThanOrEqual(1e-3);
    });
    expect(times.map(timestamp)).toEqual(golden.timestamps);
    expect(info).toMatchObject({ width: golden.W, height: golden.H, frameRate: golden.fps_float, frames: golden.N });
  });

  it('gives the same through segment(), kept on disk, and for a part of the video', async () => {
    const options = { shortSide: 80, longSide: 640 };
    const streamed: string[] = [];
    for await (const { masks } of segmenter.stream(video, ['a red ball'], { ...options, start: 1, end: 2 })) {
      streamed.push(encodeRle(masks[0]!).counts);
    }
    await using result = await segmenter.segment(video, ['a red ball'], { ...options, start: 1, end: 2 });
    expect(result.video.frames).toBe(12);
    expect(result.timestamps[0]).toBe('00:00:00.000');
    const kept: string[] = [];
    for await (const mask of result.masks(0)) kept.push(encodeRle(mask).counts);
    expect(kept).toEqual(streamed);
  });
});
