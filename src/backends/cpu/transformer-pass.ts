import { float32Tensor, type Tensor } from '../../tensors/tensor.js';
import type { FramesGraph } from './protocol.js';
import type { NamedTensors, OpenOptions, Runtime, Session } from './runtime.js';

/** Text lengths are rounded up to this where a runtime compiles for them: few lengths, few compilations. */
const tokenStep = 16;

/** One sentence's text features [S, D] and its attention mask [S]. */
export interface PassText {
  readonly features: Float32Array;
  readonly mask: BigInt64Array;
}

export interface PassInputs {
  readonly levels: NamedTensors;
  readonly frames: number;
  readonly counted?: number;
  readonly text: PassText;
}

/** What the transformer says of one sentence in the T frames of a window. */
export interface SentenceOutputs {
  /** [N] */
  readonly scores: Float32Array;
  readonly bestQuery: number;
  /** [T,N,K] */
  readonly allKernels: Float32Array;
  /** [T,K,fh,fw] */
  readonly features: Float32Array;
  readonly kernelSize: number;
  readonly featureHeight: number;
  readonly featureWidth: number;
}

/**
 * The transformer on one sentence and `frames` frames, `graph.frames` of them at a time: frames are independent of each
 * other there but for the mean of their scores. `levels` hold at least as many frames as the runs take.
 */
export async function runTransformer(
  runtime: Pick<Runtime, 'anyLength'>,
  open: (path: string, options: OpenOptions) => Promise<Session>,
  graph: FramesGraph,
  { levels, frames, counted = frames, text }: PassInputs,
): Promise<SentenceOutputs> {
  const textInputs = sentenceInputs(text, runtime.anyLength ? tokenStep : 1);
  const first = levelInputs(levels, 0, graph.frames);
  const count = { frame_count: { dtype: 'I32', shape: [1], data: Int32Array.of(graph.frames) } } as const;
  const shapes = shapesOf({ ...first, ...textInputs, ...count });
  const session = await open(graph.path, runtime.anyLength ? { shapes, exact: true } : {});

  let all:
    | { scores: Float32Array; kernels: Float32Array; features: Float32Array; sizes: readonly number[] }
    | undefined;
  for (let from = 0; from < frames; from += graph.frames) {
    const present = Math.min(graph.frames, frames - from);
    const ofScores = Math.max(0, Math.min(present, counted - from));
    const outputs = await session.run({
      ...(from === 0 ? first : levelInputs(levels, from, graph.frames)),
      ...textInputs,
      // At least one, whose score then counts for nothing: a mean over none is NaN.
      frame_count: { dtype: 'I32', shape: [1], data: Int32Array.of(Math.max(1, ofScores)) },
    });
    const scores = floats(outputs.referred_score);
    const kernels = floats(outputs.all_mask_kernels);
    const features = floats(outputs.mask_features);
    if (from === 0 && graph.frames === frames) {
      all = { scores, kernels, features, sizes: outputs.mask_features!.shape };
      break;
    }
    const perFrame = (data: Float32Array) => data.length / graph.frames;
    all ??= {
      scores: new Float32Array(scores.length),
      kernels: new Float32Array(frames * perFrame(kernels)),
      features: new Float32Array(frames * perFrame(features)),
      sizes: outputs.mask_features!.shape,
    };
    for (let n = 0; n < scores.length; n++) all.scores[n]! += (scores[n]! * ofScores) / counted;
    all.kernels.set(kernels.subarray(0, present * perFrame(kernels)), from * perFrame(kernels));
    all.features.set(features.subarray(0, present * perFrame(features)), from * perFrame(features));
  }
  const { scores, kernels, features, sizes } = all!;
  const [, , kernelSize, featureHeight, featureWidth] = sizes as readonly [number, number, number, number, number];
  return {
    scores: scores.slice(),
    bestQuery: scores.reduce((best, score, n) => (score > scores[best]! ? n : best), 0),
    allKernels: kernels,
    features,
    kernelSize,
    featureHeight,
    featureWidth,
  };
}

/** Kernels [T,K] of one object query out of all [T,N,K]. */
export function kernelsOf({ allKernels, scores, kernelSize }: SentenceOutputs, query: number): Float32Array {
  const frames = allKernels.length / (scores.length * kernelSize);
  const kernels = new Float32Array(frames * kernelSize);
  for (let t = 0; t < frames; t++) {
    const at = (t * scores.length + query) * kernelSize;
    kernels.set(allKernels.subarray(at, at + kernelSize), t * kernelSize);
  }
  return kernels;
}

/** Features [1,S,D] padded with zeros, attention mask [1,S], looking at window 0. */
function sentenceInputs({ features, mask }: PassText, step: number): NamedTensors {
  const tokens = mask.length;
  const length = step * Math.ceil(tokens / step);
  const width = features.length / tokens;
  const padded = length === tokens ? features : new Float32Array(length * width);
  const paddedMask = length === tokens ? mask : new BigInt64Array(length);
  if (padded !== features) padded.set(features);
  if (paddedMask !== mask) paddedMask.set(mask);
  return {
    text_features: float32Tensor([1, length, width], padded),
    attention_mask: { dtype: 'I64', shape: [1, length], data: paddedMask },
    window_index: { dtype: 'I32', shape: [1], data: new Int32Array(1) },
  };
}

/** Frames [from, from + count) of levels [1,T,…], in place. */
function levelInputs(levels: NamedTensors, from: number, count: number): NamedTensors {
  const inputs: Record<string, Tensor> = {};
  for (const [name, level] of Object.entries(levels)) {
    const [, frames, ...rest] = level.shape as readonly [number, number, ...number[]];
    const size = floats(level).length / frames;
    inputs[name] = float32Tensor([1, count, ...rest], floats(level).subarray(from * size, (from + count) * size));
  }
  return inputs;
}

function shapesOf(tensors: NamedTensors): Record<string, readonly number[]> {
  return Object.fromEntries(Object.entries(tensors).map(([name, { shape }]) => [name, shape]));
}

/** The values of a float32 tensor that must be there. */
export function floats(value: Tensor | undefined): Float32Array {
  const data = value?.data;
  if (!(data instanceof Float32Array)) throw new Error('the graph gave no float32 output of the name expected');
  return data;
}
