import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stageGraph } from '../../../src/model/stages/index.js';
import { levelSizes } from '../../../src/model/stages/stage-options.js';
import { noise, worstError } from '../../support/compare.js';
import { recordFigure } from '../../support/figures.js';
import { openGoldenModel } from '../../support/golden-model.js';
import { dataOf, floats, ints, runGraph } from '../../support/graph-session.js';

/*
 * One engine graph of the transformer serves any number of frames, by `frame_count` also fewer than it is given; the
 * graphs of ONNX Runtime are written for one number each. Both must give the same, whatever stands in the frames that are
 * not the clip's.
 */

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
beforeAll(async () => {
  golden = await openGoldenModel();
});
afterAll(() => golden.remove());

const sizes = [
  [61, 90],
  [113, 44],
  [57, 58],
  [24, 40],
] as const;
const outputs = ['referred_score', 'mask_kernels', 'all_mask_kernels', 'mask_features'] as const;
/** Two windows, three sentences: the first looks at the second window, the others at the first. */
const windowIndex = [1, 0, 0];
const tokens = 7;

function levelsOf(frames: number, height: number, width: number, seed: number): Float32Array[] {
  const { embed_dim: channels } = golden.model.architecture.swin;
  return levelSizes(height, width).map(([h, w], i) => noise(frames * (channels << i) * h * w, seed + i));
}

/** Level tensors of two windows: `clips` stand first, behind them noise and NaN up to `frames`. */
function padded(clips: readonly Float32Array[][], length: number, frames: number, height: number, width: number) {
  const { embed_dim: channels } = golden.model.architecture.swin;
  return Object.fromEntries(
    levelSizes(height, width).map(([h, w], i) => {
      const frame = (channels << i) * h * w;
      const data = noise(2 * frames * frame, 50 + i).map((x, at) => (at % 7 === 0 ? Number.NaN : 100 * x));
      clips.forEach((levels, b) => {
        data.set(levels[i]!.subarray(0, length * frame), b * frames * frame);
      });
      return [`level${i}`, floats(data, [2, frames, channels << i, h, w])];
    }),
  );
}

describe.each(sizes)('features of %i×%i', (height, width) => {
  it('every number of frames from 1 to 24 equals the graph of just that number', async () => {
    const { model } = golden;
    const { d_model: features } = model.architecture.mttr;
    const options = { architecture: model.architecture, stored: model.precision } as const;
    const path = join(model.path, `engine-transformer-${height}x${width}.onnx`);
    await writeFile(path, stageGraph('transformer', { ...options, target: 'tensorrt', clip: { height, width } }));
    const engine = await InferenceSession.create(path, { intraOpNumThreads: 1, logSeverityLevel: 3 });
    const mask = BigInt64Array.from([1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 1, 1, 0].map(BigInt));
    const text = {
      text_features: floats(noise(3 * tokens * features, 7), [3, tokens, features]),
      attention_mask: new Tensor('int64', mask, [3, tokens]),
      window_index: ints(windowIndex),
    };
    for (let t = 1; t <= 24; t++) {
      const clips = [levelsOf(t, height, width, t), levelsOf(t, height, width, 100 + t)];
      const frame_count = ints([t, Math.max(1, t - 2)]);
      const clip = { frames: t, height, width };
      const exact = await runGraph(
        model,
        'transformer',
        { target: 'onnxruntime', clip },
        { ...padded(clips, t, t, height, width), ...text, frame_count },
      );
      // As engines are run; now and then just as long as the clip.
      for (const frames of new Set([t <= 8 ? 8 : 24, ...(t % 6 === 1 ? [t] : [])])) {
        const feeds = { ...padded(clips, t, frames, height, width), ...text, frame_count };
        const found = (await engine.run(feeds)) as typeof exact;
        const where = `${height}x${width} T=${t} of ${frames}`;
        expect(found.query_index!.data, where).toEqual(exact.query_index!.data);
        for (const name of outputs) {
          const error = worstError(dataOf(exact, name), firstFrames(dataOf(found, name), name, t, frames));
          recordFigure('engine graph of the transformer against exact graph, worst / rms', `${where} ${name}`, error);
          expect(error, `${name}, ${where}`).toBeLessThan(2e-5);
        }
      }
    }
    await engine.release();
  });
});

/** [P, frames, …] → [P, t, …]; scores have no frames. */
function firstFrames(data: Float32Array, name: string, t: number, frames: number): Float32Array {
  if (name === 'referred_score') return data;
  const sentence = data.length / windowIndex.length;
  const kept = (sentence / frames) * t;
  const result = new Float32Array(kept * windowIndex.length);
  windowIndex.forEach((_, p) => {
    result.set(data.subarray(p * sentence, p * sentence + kept), p * kept);
  });
  return result;
}
