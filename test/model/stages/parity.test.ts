import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskByteLength } from '../../../src/masks/mask.js';
import { loadCore } from '../../../src/native/load-core.js';
import { unpackBits } from '../../support/bits.js';
import { worstError } from '../../support/compare.js';
import { recordFigure } from '../../support/figures.js';
import { readGoldenCase, swapped } from '../../support/golden-case.js';
import { openGoldenModel } from '../../support/golden-model.js';
import { dataOf, maskLogits, runNetwork } from '../../support/graph-session.js';
import { bytesOf, floatsOf } from '../../support/safetensors.js';

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
beforeAll(async () => {
  golden = await openGoldenModel();
});
afterAll(() => golden.remove());

describe.each(['onnxruntime', 'tensorrt'] as const)('graphs for %s against the original implementation', (target) => {
  it.each(['a_T8_96x160', 'b_T6_90x150_2q', 'c_T24_64x112', 'd_blocks_T10_44x60'])('%s', async (name) => {
    const { tensors, clip, frames, sentences, description } = await readGoldenCase(name);
    // Engines come in two lengths; clips are padded to them.
    const length = target === 'onnxruntime' ? clip.frames : clip.frames <= 8 ? 8 : 24;
    const outputs = await runNetwork(
      golden.model,
      { target, compute: 'fp32', clip: { ...clip, frames: length } },
      frames,
      sentences,
    );

    const where = `${target} ${name}`;
    const check = (what: string, value: number, allowed: number) => {
      recordFigure(what, where, value);
      expect(value, what).toBeLessThanOrEqual(allowed);
    };
    for (const level of [0, 1, 2]) {
      if (!tensors.has(`backbone.${level}`)) continue;
      const expected = swapped(tensors, `backbone.${level}`);
      check(
        'levels, worst / rms',
        worstError(expected, dataOf(outputs, `level${level}`).subarray(0, expected.length)),
        2e-5,
      );
    }
    check(
      'text features, worst / rms',
      worstError(swapped(tensors, 'text.projected'), dataOf(outputs, 'text_features')),
      2e-5,
    );
    const scores = floatsOf(tensors, 'ytvos.trajectory_scores');
    dataOf(outputs, 'referred_score').forEach((score, i) => {
      check('referred score, difference', Math.abs(score - scores[i]!), 1e-4);
    });

    const logits = maskLogits(outputs);
    const expected = swapped(tensors, 'pred_masks');
    const perSentence = expected.length / sentences.count;
    for (let p = 0; p < sentences.count; p++) {
      const from = (p * logits.length) / sentences.count;
      const truth = expected.subarray(p * perSentence, (p + 1) * perSentence);
      check('mask logits, worst / rms', worstError(truth, logits.subarray(from, from + perSentence)), 1e-4);
      const query = Number(outputs.query_index!.data[p]);
      const queries = scores.length / sentences.count;
      const best = scores.subarray(p * queries, (p + 1) * queries);
      expect(query).toBe(best.indexOf(Math.max(...best)));

      const [height, width] = description.original_sizes[p] ?? description.original_sizes[0]!;
      const masks = await masksOf(outputs, p, clip, height, width, description.padded_size);
      const packed = bytesOf(tensors, `ytvos.masks_packed.${p}`);
      const total = clip.frames * height * width;
      const pixels = unpackBits(packed, 0, total);
      let wrong = 0;
      for (let t = 0; t < clip.frames; t++) {
        const bits = masks.subarray(t * maskByteLength(width, height));
        const found = unpackBits(bits, 0, height * width);
        for (let i = 0; i < found.length; i++) if (found[i] !== pixels[t * found.length + i]) wrong++;
      }
      check('masks, share of pixels', wrong / total, 0.0005);
    }
  });
});

async function masksOf(
  outputs: Awaited<ReturnType<typeof runNetwork>>,
  p: number,
  clip: { frames: number; height: number; width: number },
  height: number,
  width: number,
  [paddedHeight, paddedWidth]: [number, number],
): Promise<Uint8Array> {
  const [sentences, , kernelSize, featureHeight, featureWidth] = outputs.mask_features!.dims as number[];
  const part = (name: string) => {
    const data = dataOf(outputs, name);
    return data.subarray((p * data.length) / sentences!, ((p + 1) * data.length) / sentences!);
  };
  const target = new Uint8Array(clip.frames * maskByteLength(width, height));
  await loadCore().maskHead({
    kernels: part('mask_kernels'),
    features: part('mask_features'),
    frames: clip.frames,
    kernelSize: kernelSize!,
    featureHeight: featureHeight!,
    featureWidth: featureWidth!,
    paddedHeight,
    paddedWidth,
    resizedHeight: clip.height,
    resizedWidth: clip.width,
    height,
    width,
    target,
  });
  return target;
}
