import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskIou } from '../../support/compare.js';
import { recordFigure } from '../../support/figures.js';
import { readGoldenCase } from '../../support/golden-case.js';
import { openGoldenModel } from '../../support/golden-model.js';
import { maskLogits, runNetwork } from '../../support/graph-session.js';

let fp32: Awaited<ReturnType<typeof openGoldenModel>>;
let fp16: Awaited<ReturnType<typeof openGoldenModel>>;
beforeAll(async () => {
  [fp32, fp16] = [await openGoldenModel('fp32'), await openGoldenModel('fp16')];
});
afterAll(() => Promise.all([fp32.remove(), fp16.remove()]));

describe.each(['a_T8_96x160', 'b_T6_90x150_2q', 'c_T24_64x112'])('%s', (name) => {
  it('half precision gives the masks of full precision', async () => {
    const { clip, frames, sentences } = await readGoldenCase(name);
    const exact = await runNetwork(fp32.model, { target: 'onnxruntime', compute: 'fp32', clip }, frames, sentences);
    const stored = await runNetwork(fp16.model, { target: 'onnxruntime', compute: 'fp32', clip }, frames, sentences);
    const length = clip.frames <= 8 ? 8 : 24;
    const engineClip = { ...clip, frames: length };
    const engine = await runNetwork(
      fp32.model,
      { target: 'tensorrt', compute: 'fp16', sums: 'fp32', clip: engineClip },
      frames,
      sentences,
    );
    const expected = maskLogits(exact);
    for (const [what, other] of [
      ['FP16 weights', stored],
      ['FP16 engine graphs', engine],
    ] as const) {
      expect(Array.from(other.query_index!.data as Int32Array)).toEqual(
        Array.from(exact.query_index!.data as Int32Array),
      );
      const found = maskLogits(other);
      for (let p = 0; p < sentences.count; p++) {
        const size = expected.length / sentences.count;
        const from = (p * found.length) / sentences.count;
        const iou = maskIou(expected.subarray(p * size, (p + 1) * size), found.subarray(from, from + size));
        recordFigure(`${what}, mask IoU`, name, iou);
        expect(iou).toBeGreaterThanOrEqual(0.99);
      }
    }
  });
});
