import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { clipForms } from '../../src/engines/engine-plan.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import type { NativePipeline } from '../../src/native/tensorrt-addon.js';
import type { Size } from '../../src/preprocess/size-rule.js';
import { noise, rmsError, worstError } from '../support/compare.js';
import { recordFigure } from '../support/figures.js';
import { readGoldenCase, swapped } from '../support/golden-case.js';
import { dataOf, floats, runGraph } from '../support/graph-session.js';
import { floatsOf, type Gpu, openGpu, openPipeline } from './gpu.js';
import { caseSizes, demoSize, openCompact, openGolden } from './models.js';

const levels = ['level0', 'level1', 'level2'] as const;
let gpu: Gpu;
let golden: ModelFolder;
let compact: ModelFolder;
const open: NativePipeline[] = [];

beforeAll(async () => {
  gpu = await openGpu();
  golden = await openGolden();
  compact = await openCompact();
});
afterAll(async () => {
  for (const pipeline of open) await pipeline.dispose();
});

async function opened(model: ModelFolder, size: Size): Promise<NativePipeline> {
  const pipeline = await openPipeline(gpu, model, size);
  open.push(pipeline);
  return pipeline;
}

/** Levels of one clip, [T,C,h,w] each: the engine's frames beyond T hold large noise. */
async function levelsOnGpu(pipeline: NativePipeline, model: ModelFolder, clip: Float32Array, t: number, size: Size) {
  const { short, long } = clipForms(model);
  const length = t <= short ? short : long;
  const frames = noise(length * 3 * size.height * size.width, 7).map((x) => 1000 * x);
  frames.set(clip);
  const outputs = await pipeline.runStage('backbone', {
    frames: { dtype: 'float32', shape: [1, length, 3, size.height, size.width], data: frames },
    frame_count: { dtype: 'int32', shape: [1], data: Int32Array.of(t) },
  });
  return levels.map((level) => floatsOf(outputs, level));
}

function expectClose(what: string, expected: Float32Array, found: Float32Array): void {
  const part = found.subarray(0, expected.length);
  recordFigure('FP16 levels on the GPU, rms error / rms', what, rmsError(expected, part));
  recordFigure('FP16 levels on the GPU, worst / rms', what, worstError(expected, part));
  expect(rmsError(expected, part), what).toBeLessThanOrEqual(0.005);
  expect(worstError(expected, part), what).toBeLessThanOrEqual(0.03);
}

describe('levels of the FP16 backbone', () => {
  it.each(Object.entries(caseSizes))('of golden case %s', async (name, size) => {
    const { tensors, frames, clip } = await readGoldenCase(name);
    const found = await levelsOnGpu(await opened(golden, size), golden, frames, clip.frames, size);
    let compared = 0;
    for (const [i, level] of found.entries()) {
      if (!tensors.has(`backbone.${i}`)) continue;
      expectClose(`${name} level${i}`, swapped(tensors, `backbone.${i}`), level);
      compared++;
    }
    expect(compared).toBeGreaterThan(0);
  });

  it.each([
    ['golden', 1],
    ['golden', 8],
    ['golden', 9],
    ['golden', 17],
    ['golden', 24],
    ['compact', 3],
    ['compact', 24],
  ])('of the %s model at T = %i equal those of FP32 on ONNX Runtime', async (name, t) => {
    const [model, size] = name === 'golden' ? [golden, caseSizes.c_T24_64x112] : [compact, demoSize(compact)];
    const { height, width } = size;
    const clip = noise(t * 3 * height * width, t);
    const variant = { target: 'onnxruntime', clip: { frames: t, height, width } } as const;
    const exact = await runGraph(model, 'backbone', variant, { frames: floats(clip, [1, t, 3, height, width]) });
    const found = await levelsOnGpu(await opened(model, size), model, clip, t, size);
    for (const [i, level] of levels.entries()) expectClose(`${name} T=${t} ${level}`, dataOf(exact, level), found[i]!);
  });
});
