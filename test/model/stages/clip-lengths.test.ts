import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Precision } from '../../../src/model/architecture.js';
import { stageGraph } from '../../../src/model/stages/index.js';
import { noise, rmsError, worstError } from '../../support/compare.js';
import { recordFigure } from '../../support/figures.js';
import { openGoldenModel } from '../../support/golden-model.js';
import { activations, dataOf, floats, ints, runGraph } from '../../support/graph-session.js';

/*
 * The engine graphs serve every clip length by `frame_count`; the graphs of ONNX Runtime are written for one length
 * each. Both must give the same levels, whatever stands in the frames that are not the clip's.
 */

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
beforeAll(async () => {
  golden = await openGoldenModel();
});
afterAll(() => golden.remove());

/** The last size has feature maps smaller than a window: height and width are clipped too. */
const sizes = [
  [61, 90],
  [113, 44],
  [57, 58],
  [24, 40],
] as const;

async function engine(
  length: number,
  height: number,
  width: number,
  compute: Precision,
  sums?: Precision,
): Promise<InferenceSession> {
  const { model } = golden;
  const path = join(model.path, `engine-${length}-${height}x${width}-${compute}-${sums}.onnx`);
  const { architecture, precision: stored } = model;
  const options = { architecture, stored, target: 'tensorrt', compute, sums } as const;
  await writeFile(path, stageGraph('backbone', { ...options, clip: { frames: length, height, width } }));
  return InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
}

/** Levels of the clip `frames` run as the second of two windows, the first and the surplus frames being noise. */
async function runEngine(
  session: InferenceSession,
  length: number,
  clip: Float32Array,
  size: readonly [number, number],
  compute: Precision = 'fp32',
) {
  const frame = 3 * size[0] * size[1];
  const surplus = (x: number, at: number) =>
    compute === 'fp32' && at > length * frame && at % 7 === 0 ? Number.NaN : 1000 * x;
  const batch = noise(2 * length * frame, 99).map(surplus);
  batch.set(clip, length * frame);
  const feeds = {
    frames: activations(batch, [2, length, 3, ...size], { target: 'tensorrt', compute }),
    frame_count: ints([Math.max(1, length - 3), clip.length / frame]),
  };
  return session.run(feeds) as ReturnType<typeof runGraph>;
}

describe.each(sizes)('clips of %i×%i', (height, width) => {
  it('every length from 1 to 24 equals the graph of just that length', async () => {
    const engines = { 8: await engine(8, height, width, 'fp32'), 24: await engine(24, height, width, 'fp32') };
    for (let t = 1; t <= 24; t++) {
      const clip = noise(t * 3 * height * width, t);
      const exact = await runGraph(
        golden.model,
        'backbone',
        { target: 'onnxruntime', clip: { frames: t, height, width } },
        {
          frames: floats(clip, [1, t, 3, height, width]),
        },
      );
      const length = t <= 8 ? 8 : 24;
      const found = await runEngine(engines[length], length, clip, [height, width]);
      for (const level of ['level0', 'level1', 'level2']) {
        const expected = dataOf(exact, level);
        const data = dataOf(found, level);
        const second = data.subarray(data.length / 2, data.length / 2 + expected.length);
        const error = worstError(expected, second);
        recordFigure(
          'engine graph at T = 1…24 against exact graph, worst / rms',
          `${height}x${width} T=${t} ${level}`,
          error,
        );
        expect(error, `${level} at T=${t}`).toBeLessThan(2e-5);
      }
    }
    for (const session of Object.values(engines)) await session.release();
  });
});

it('FP16 stays within 0.5 % rms and 3 % worst of FP32', async () => {
  const [height, width] = sizes[0];
  for (const [length, lengths] of [
    [8, [5]],
    [24, [9, 16, 24]],
  ] as const) {
    const session = await engine(length, height, width, 'fp16', 'fp32');
    for (const t of lengths) {
      const clip = noise(t * 3 * height * width, t);
      const variant = { target: 'onnxruntime', clip: { frames: t, height, width } } as const;
      const frames = floats(clip, [1, t, 3, height, width]);
      const exact = await runGraph(golden.model, 'backbone', variant, { frames });
      const found = await runEngine(session, length, clip, [height, width], 'fp16');
      for (const level of ['level0', 'level1', 'level2']) {
        const expected = dataOf(exact, level);
        const data = dataOf(found, level);
        const second = data.subarray(data.length / 2, data.length / 2 + expected.length);
        const where = `${height}x${width} T=${t} ${level}`;
        recordFigure('FP16 engine graph levels, rms error / rms', where, rmsError(expected, second));
        recordFigure('FP16 engine graph levels, worst / rms', where, worstError(expected, second));
        expect(rmsError(expected, second), where).toBeLessThan(0.005);
        expect(worstError(expected, second), where).toBeLessThan(0.03);
      }
    }
    await session.release();
  }
});
