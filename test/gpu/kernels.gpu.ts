import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskByteLength } from '../../src/masks/mask.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import { loadCore } from '../../src/native/load-core.js';
import type { NativePipeline, PixelFormat } from '../../src/native/tensorrt-addon.js';
import { fromHalf, toHalf } from '../../src/tensors/float16.js';
import { shareDifferent } from '../support/bits.js';
import { noise } from '../support/compare.js';
import { floatsOf, type Gpu, isSimulated, openGpu, openPipeline } from './gpu.js';
import { caseSizes, openGolden } from './models.js';

/*
 * The kernels against their CPU twins, bit for bit. The pipeline goes from pixels to masks on the GPU; beside it the same
 * engines run stage by stage, with the twin of the preprocess kernel in front and that of the mask-head kernel behind. Any
 * bit that differs in a preprocessed frame shows in the scores, any that differs in a mask shows there.
 */

const size = caseSizes.c_T24_64x112;
let gpu: Gpu;
let model: ModelFolder;
let pipeline: NativePipeline;
beforeAll(async () => {
  gpu = await openGpu();
  model = await openGolden();
  pipeline = await openPipeline(gpu, model, size);
});
afterAll(() => pipeline.dispose());

const tokens = 8;

interface Clip {
  readonly format: PixelFormat;
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  readonly pitch: number;
  readonly antialias: boolean;
}

/** Noise with large shapes in it, rows padded with other noise; nothing follows the last row's pixels. */
function pixels({ format, frames, height, width, pitch }: Clip, seed: number): Uint8Array[] {
  const rowBytes = format === 'nv12' ? 2 * Math.ceil(width / 2) : 3 * width;
  const rows = format === 'nv12' ? height + Math.ceil(height / 2) : height;
  return Array.from({ length: frames }, (_, t) => {
    const random = noise((rows - 1) * pitch + rowBytes, seed * 100 + t);
    return Uint8Array.from(random, (x, i) => {
      const shape = (Math.floor(i / pitch / 9) + Math.floor((i % pitch) / 40) + t) % 3;
      return Math.min(255, Math.max(0, 60 * shape + 30 + 25 * x));
    });
  });
}

function sentences(count: number): Float32Array[] {
  const { d_model: width } = model.architecture.mttr;
  return Array.from({ length: count }, (_, p) => noise(tokens * width, 1000 + p));
}

/** Scores and masks by the twins around the engines' stages; `all`: of every object query. */
async function byTwins(clip: Clip, frames: readonly Uint8Array[], texts: readonly Float32Array[], all: boolean) {
  const core = loadCore();
  const { mttr } = model.architecture;
  const count = clip.frames;
  const frameBytes = frames[0]!.length;
  const source = new Uint8Array(count * frameBytes);
  frames.forEach((frame, t) => {
    source.set(frame, t * frameBytes);
  });
  const half = new Uint16Array(count * 3 * size.height * size.width);
  await core.preprocessBatch({
    ...{ source, frames: count, format: clip.format, matrix: 'bt601', antialias: clip.antialias },
    ...{ height: clip.height, width: clip.width, pitch: clip.pitch },
    ...{ target: half, targetHeight: size.height, targetWidth: size.width },
    ...{ mean: model.preprocessing.mean, std: model.preprocessing.std },
  });
  const levels = await pipeline.runStage('backbone', {
    frames: { dtype: 'float32', shape: [1, count, 3, size.height, size.width], data: fromHalf(half) },
  });
  const text = new Float32Array(texts.length * texts[0]!.length);
  texts.forEach((features, p) => {
    text.set(features, p * features.length);
  });
  const out = await pipeline.runStage('transformer', {
    ...levels,
    text_features: { dtype: 'float32', shape: [texts.length, tokens, mttr.d_model], data: text },
    attention_mask: {
      dtype: 'int64',
      shape: [texts.length, tokens],
      data: new BigInt64Array(texts.length * tokens).fill(1n),
    },
  });
  const [, , , featureHeight, featureWidth] = out.mask_features!.shape as number[];
  const features = new Uint16Array(floatsOf(out, 'mask_features').length);
  toHalf(floatsOf(out, 'mask_features'), features);
  const chosen = out.query_index!.data as Int32Array;
  const bytes = maskByteLength(clip.width, clip.height);
  const target = new Uint8Array(texts.length * (all ? mttr.num_queries : 1) * count * bytes);
  await core.maskHeadBatch({
    ...{ kernels: floatsOf(out, 'all_mask_kernels'), features, sentences: texts.length, frames: count, target },
    ...{ objectQueries: mttr.num_queries, kernelSize: mttr.mask_kernels_dim },
    ...(all ? {} : { chosen }),
    ...{ featureHeight: featureHeight!, featureWidth: featureWidth! },
    ...{ paddedHeight: size.height, paddedWidth: size.width },
    ...{ resizedHeight: size.height, resizedWidth: size.width, height: clip.height, width: clip.width },
  });
  const scores = floatsOf(out, 'referred_score');
  return texts.map((_, p) => ({
    objectQuery: chosen[p]!,
    scores: scores.slice(p * mttr.num_queries, (p + 1) * mttr.num_queries),
    masks: target.slice((p * target.length) / texts.length, ((p + 1) * target.length) / texts.length),
  }));
}

let streams = 0;
async function byPipeline(clip: Clip, frames: readonly Uint8Array[], texts: readonly Float32Array[], all: boolean) {
  const { format, height, width, pitch, antialias } = clip;
  const { done } = pipeline.run({
    windows: [{ stream: ++streams, start: 0, count: clip.frames, shared: 0, frames }],
    sentences: texts.map((features) => ({ window: 0, tokens, features })),
    source: { format, height, width, pitch },
    antialias,
    queries: all ? 'all' : 'best',
  });
  const results = await done;
  pipeline.forget(streams);
  return results;
}

const base = { format: 'rgb', frames: 8, height: 64, width: 112, pitch: 336, antialias: true } as const;

describe('kernels equal their CPU twins bit for bit', () => {
  it.each<[string, Partial<Clip>]>([
    ['at the same size', {}],
    ['enlarged', { height: 40, width: 70, pitch: 210 }],
    ['shrunk with antialias', { height: 360, width: 630, pitch: 1890 }],
    ['shrunk without antialias', { height: 360, width: 630, pitch: 1890, antialias: false }],
    ['of odd sizes and padded rows', { height: 201, width: 353, pitch: 1100 }],
    ['blue first', { format: 'bgr', height: 128, width: 224, pitch: 672 }],
    ['in NV12', { format: 'nv12', height: 180, width: 316, pitch: 320 }],
    ['in NV12 of odd sizes', { format: 'nv12', height: 91, width: 159, pitch: 256, antialias: false }],
    ...(isSimulated
      ? []
      : [['from 4K', { frames: 2, height: 2160, width: 3840, pitch: 11520 }] satisfies [string, Partial<Clip>]]),
    ['one frame', { frames: 1 }],
    ['a long window', { frames: 24, height: 128, width: 224, pitch: 672 }],
    ['a long window that is not full', { frames: 13, height: 128, width: 224, pitch: 672 }],
  ])('for frames %s', async (_, changed) => {
    const clip: Clip = { ...base, ...changed };
    const frames = pixels(clip, streams + 1);
    for (const all of [false, true]) {
      const texts = sentences(2);
      const expected = await byTwins(clip, frames, texts, all);
      const found = await byPipeline(clip, frames, texts, all);
      for (const [p, sentence] of expected.entries()) {
        // Not by `toEqual`, whose account of two large arrays takes minutes.
        expect(found[p]!.objectQuery).toBe(sentence.objectQuery);
        expect(shareDifferent(found[p]!.scores, sentence.scores)).toBe(0);
        expect(shareDifferent(found[p]!.masks, sentence.masks)).toBe(0);
      }
      expect(expected.some(({ masks }) => masks.some((byte) => byte !== 0 && byte !== 255))).toBe(true);
    }
  });
});
