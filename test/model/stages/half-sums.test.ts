import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Precision } from '../../../src/model/architecture.js';
import type { Sums } from '../../../src/model/onnx/graph-builder.js';
import { Operators } from '../../../src/model/onnx/operators.js';
import { maskIou, noise, rmsError, worstError } from '../../support/compare.js';
import { recordFigure } from '../../support/figures.js';
import { readGoldenCase } from '../../support/golden-case.js';
import { openGoldenModel } from '../../support/golden-model.js';
import { dataOf, floats, maskLogits, runNetwork } from '../../support/graph-session.js';

/*
 * What the form of the engines' products is worth: the whole network on a CPU with sums as matrix units make them that sum
 * in FP16, rounded after every 16 products, and with sums in FP32. The tolerances of the tests on a GPU lie between: wide
 * enough for FP16 values, too narrow for FP16 sums.
 */

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
beforeAll(async () => {
  golden = await openGoldenModel('fp32');
});
afterAll(() => golden.remove());

it('one long product, K = 1536: 0.14 % rms with sums in FP16, 0.02 % in FP32', async () => {
  const [rows, depth, columns] = [32, 1536, 48];
  const a = noise(rows * depth, 1);
  const b = noise(depth * columns, 2);
  const run = async (compute: Precision, sums?: Sums) => {
    const weights = new Map();
    const g = new Operators({ name: 'product', opset: 20, stored: 'fp32', compute, sums, weights });
    const half = (name: string, shape: number[]) =>
      g.cast(g.cast(g.input(name, 'float', shape), 'float16'), g.computeType);
    g.output('y', g.cast(g.product(half('a', [rows, depth]), half('b', [depth, columns])), 'float'));
    const session = await InferenceSession.create(g.build(), { logSeverityLevel: 3 });
    const { y } = await session.run({ a: floats(a, [rows, depth]), b: floats(b, [depth, columns]) });
    await session.release();
    return y!.data as Float32Array;
  };
  const exact = await run('fp32');
  const wide = rmsError(exact, await run('fp16', 'fp32'));
  const rounded = rmsError(exact, await run('fp16', { roundEvery: 16 }));
  recordFigure('one product, K = 1536, rms error / rms', 'sums in FP32', wide);
  recordFigure('one product, K = 1536, rms error / rms', 'sums in FP16', rounded);
  expect(wide).toBeLessThan(0.0003);
  expect(rounded).toBeGreaterThan(4 * wide);
});

describe.each(['a_T8_96x160', 'c_T24_64x112'])('%s', (name) => {
  it('sums in FP32 are nearer to full precision than sums in FP16, in every output', async () => {
    const { clip, frames, sentences } = await readGoldenCase(name);
    const { model } = golden;
    const exact = await runNetwork(model, { target: 'onnxruntime', compute: 'fp32', clip }, frames, sentences);
    const engineClip = { ...clip, frames: clip.frames <= 8 ? 8 : 24 };
    const engine = { target: 'tensorrt', compute: 'fp16', clip: engineClip } as const;
    const wide = await runNetwork(model, { ...engine, sums: 'fp32' }, frames, sentences);
    const rounded = await runNetwork(model, { ...engine, sums: { roundEvery: 16 } }, frames, sentences);
    for (const output of ['level0', 'level1', 'level2', 'text_features', 'mask_features'] as const) {
      const expected = dataOf(exact, output);
      const errors = [wide, rounded].map((run) => rmsError(expected, dataOf(run, output).subarray(0, expected.length)));
      recordFigure('sums in FP32, rms error / rms', `${name} ${output}`, errors[0]!);
      recordFigure('sums in FP16 (rounded every 16 products), rms error / rms', `${name} ${output}`, errors[1]!);
      expect(errors[0], output).toBeLessThan(errors[1]!);
      expect(errors[0], output).toBeLessThan(0.005);
      expect(worstError(expected, dataOf(wide, output).subarray(0, expected.length)), output).toBeLessThan(0.03);
    }
    const masks = [exact, wide].map(maskLogits);
    expect(maskIou(masks[0]!, masks[1]!.subarray(0, masks[0]!.length))).toBeGreaterThanOrEqual(0.99);
  });
});
