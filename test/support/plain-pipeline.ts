import { linkedObjectQuery } from '../../src/backends/object-query.js';
import { loadCore } from '../../src/native/load-core.js';
import type { PipelineSentenceResult, PipelineWindow, StageTensor } from '../../src/native/tensorrt-addon.js';
import { fromHalf } from '../../src/tensors/float16.js';
import { plainPreprocess, randomNumbers } from './kernel-jobs.js';
import { backbone, float, half, ints, levels, limits, transformer } from './synthetic-network.js';

/*
 * What the window pipeline should give, worked out the plain way: one window and one sentence at a time, exactly as many
 * frames and tokens as there are, no batch, no padding, no device.
 */

export const source = { height: 33, width: 50 } as const;
export const normalisation = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

/** RGB frames of noise that belong to one video. */
export class NoiseVideo {
  readonly frames: Uint8Array[];

  constructor(
    readonly stream: number,
    length: number,
    readonly size: { readonly height: number; readonly width: number } = source,
  ) {
    const random = randomNumbers(stream);
    this.frames = Array.from({ length }, () =>
      Uint8Array.from({ length: size.height * size.width * 3 }, () => random() & 255),
    );
  }

  /** As the pipeline is given it. */
  window(start: number, count: number, shared = 0): PipelineWindow {
    return { stream: this.stream, start, count, shared, frames: this.frames.slice(start + shared, start + count) };
  }
}

export interface PlainSentence {
  readonly tokens: number;
  readonly features: Float32Array;
  readonly link?: readonly Uint8Array[];
}

export function sentence(seed: number, tokens = 3 + (seed % 9)): PlainSentence {
  const random = randomNumbers(1000 + seed);
  const features = Float32Array.from({ length: tokens * limits.textFeatures }, () => random() / 2 ** 32 - 0.5);
  return { tokens, features };
}

export interface PlainOptions {
  readonly keep?: readonly number[];
  readonly queries?: 'best' | 'all';
  readonly antialias?: boolean;
  /** float32 [T,3,h,w] in place of the video's own frames, preprocessed. */
  readonly frames?: Float32Array;
}

export async function plainWindow(
  video: NoiseVideo,
  start: number,
  count: number,
  text: PlainSentence,
  { keep, queries = 'best', antialias = true, frames: given }: PlainOptions = {},
): Promise<PipelineSentenceResult> {
  const network = { height: limits.height, width: limits.width };
  const frame = 3 * network.height * network.width;
  const frames = given ?? new Float32Array(count * frame);
  for (let t = 0; t < count && !given; t++) {
    const pixels = video.frames[start + t]!;
    frames.set(await plainPreprocess(pixels, video.size, network, antialias, normalisation), t * frame);
  }
  const shape = [1, count, 3, network.height, network.width];
  const kept = keep ?? Array.from({ length: count }, (_, t) => t);
  const all = backbone({ frames: half(shape, frames), frame_count: ints([count]) });
  const features: Record<string, StageTensor> = {};
  levels.forEach((level, i) => {
    const size = level[0] * level[1] * level[2];
    const from = all[`level${i}`]!.data as Uint16Array;
    const data = new Uint16Array(kept.length * size);
    kept.forEach((position, k) => {
      data.set(from.subarray(position * size, (position + 1) * size), k * size);
    });
    features[`level${i}`] = { dtype: 'float16', shape: [1, kept.length, ...level], data };
  });
  const outputs = transformer({
    ...features,
    frame_count: ints([kept.length]),
    window_index: ints([0]),
    attention_mask: { dtype: 'int64', shape: [1, text.tokens], data: new BigInt64Array(text.tokens).fill(1n) },
    text_features: float([1, text.tokens, limits.textFeatures], text.features),
  });
  return masksOf(outputs, kept.length, text, queries, video.size);
}

async function masksOf(
  outputs: Record<string, StageTensor>,
  frames: number,
  text: PlainSentence,
  queries: 'best' | 'all',
  size: { readonly height: number; readonly width: number },
): Promise<PipelineSentenceResult> {
  const { objectQueries, kernelSize } = limits;
  const [, featureHeight, featureWidth] = levels[0];
  const kernels = outputs.all_mask_kernels!.data as Float32Array;
  const halves = outputs.mask_features!.data as Uint16Array;
  const features = new Float32Array(halves.length);
  fromHalf(halves, features);
  const form = { kernelSize, featureHeight, featureWidth };
  const linked =
    text.link && (await linkedObjectQuery({ ...form, kernels, features, objectQueries, previous: text.link, ...size }));
  const objectQuery = linked ?? (outputs.query_index!.data as Int32Array)[0]!;
  const bytes = Math.ceil((size.height * size.width) / 8);
  const wanted = queries === 'all' ? Array.from({ length: objectQueries }, (_, i) => i) : [objectQuery];
  const masks = new Uint8Array(wanted.length * frames * bytes);
  for (const [rank, query] of wanted.entries()) {
    const own = new Float32Array(frames * kernelSize);
    for (let t = 0; t < frames; t++) {
      const from = (t * objectQueries + query) * kernelSize;
      own.set(kernels.subarray(from, from + kernelSize), t * kernelSize);
    }
    await loadCore().maskHead({
      ...form,
      kernels: own,
      features,
      frames,
      paddedHeight: limits.height,
      paddedWidth: limits.width,
      resizedHeight: limits.height,
      resizedWidth: limits.width,
      ...size,
      target: masks.subarray(rank * frames * bytes, (rank + 1) * frames * bytes),
    });
  }
  return { objectQuery, scores: outputs.referred_score!.data as Float32Array, masks };
}
