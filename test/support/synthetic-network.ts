import type { PipelineLimits, StageTensor } from '../../src/native/tensorrt-addon.js';
import { fromHalf, toHalf } from '../../src/tensors/float16.js';
import type { StageCall, StageOutputs } from './simulated-device.js';

/*
 * A network of the real one's tensors and no weights: cheap, the same on every run, and sensitive to what a pipeline may
 * get wrong. Every frame's values depend on its own pixels and on all frames of its window; frames beyond the window give
 * garbage; tokens count only where the attention mask says so.
 */

export const limits: PipelineLimits = {
  height: 20,
  width: 28,
  levelChannels: 4,
  objectQueries: 5,
  kernelSize: 3,
  textFeatures: 6,
  shortFrames: 8,
  longFrames: 24,
  windows: 3,
  sentences: 4,
  tokens: 20,
  inFlight: 2,
  streams: 4,
  scratchBytes: { short: 65536, long: 65536, transformer: 65536 },
};

/** Channels, height and width of the feature levels. */
export const levels = [
  [4, 5, 7],
  [8, 3, 4],
  [16, 2, 2],
] as const;

type Shape = readonly number[];
const volume = (shape: Shape) => shape.reduce((product, n) => product * n, 1);

export function half(shape: Shape, values: Float32Array): StageTensor {
  const data = new Uint16Array(values.length);
  toHalf(values, data);
  return { dtype: 'float16', shape, data };
}

export function float(shape: Shape, data: Float32Array): StageTensor {
  return { dtype: 'float32', shape, data };
}

export function ints(values: readonly number[]): StageTensor {
  return { dtype: 'int32', shape: [values.length], data: Int32Array.from(values) };
}

function floatsOf({ data }: StageTensor): Float32Array {
  if (data instanceof Float32Array) return data;
  const floats = new Float32Array(data.length);
  fromHalf(data as Uint16Array, floats);
  return floats;
}

/** `frames` [B,T,3,h,w], `frame_count` [B] → levels. */
export function backbone(inputs: Readonly<Record<string, StageTensor>>): StageOutputs {
  const frames = floatsOf(inputs.frames!);
  const counts = inputs.frame_count!.data as Int32Array;
  const [b, t, , h, w] = inputs.frames!.shape as [number, number, number, number, number];
  const size = 3 * h * w;
  const outputs: StageOutputs = {};
  levels.forEach(([c, lh, lw], i) => {
    const values = new Float32Array(b * t * c * lh * lw).fill(1000);
    for (let window = 0; window < b; window++) {
      const frame = (position: number) =>
        frames.subarray((window * t + position) * size, (window * t + position + 1) * size);
      let all = 0;
      for (let position = 0; position < counts[window]!; position++) all += (position + 1) * frame(position)[0]!;
      for (let position = 0; position < counts[window]!; position++) {
        const pixels = frame(position);
        for (let at = 0; at < c * lh * lw; at++) {
          const x = pixels[(at * 37 + i * 11) % size]!;
          values[(window * t + position) * c * lh * lw + at] = x * (1 + (at % 5) / 8) + all / 16;
        }
      }
    }
    outputs[`level${i}`] = half([b, t, c, lh, lw], values);
  });
  return outputs;
}

/** Levels, text → what the transformer gives. */
export function transformer(inputs: Readonly<Record<string, StageTensor>>): StageOutputs {
  const { objectQueries: n, kernelSize: k, textFeatures: d } = limits;
  const counts = inputs.frame_count!.data as Int32Array;
  const windows = inputs.window_index!.data as Int32Array;
  const mask = inputs.attention_mask!.data as BigInt64Array;
  const text = floatsOf(inputs.text_features!);
  const [p, s] = inputs.attention_mask!.shape as [number, number];
  const t = inputs.level0!.shape[1]!;
  const features = levels.map((_, i) => floatsOf(inputs[`level${i}`]!));
  const [, h0, w0] = levels[0];
  const scores = new Float32Array(p * n);
  const chosen: number[] = [];
  const kernels = new Float32Array(p * t * k);
  const allKernels = new Float32Array(p * t * n * k);
  const maskFeatures = new Float32Array(p * t * k * h0 * w0).fill(1000);
  for (let sentence = 0; sentence < p; sentence++) {
    const window = windows[sentence]!;
    let said = 0;
    for (let token = 0; token < s; token++) {
      if (mask[sentence * s + token] === 0n) continue;
      for (let i = 0; i < d; i++) said += (i + 1) * text[(sentence * s + token) * d + i]!;
    }
    const at = (level: number, position: number, index: number) => {
      const size = volume(levels[level]!);
      return features[level]![(window * t + position) * size + (index % size)]!;
    };
    for (let position = 0; position < counts[window]!; position++) {
      for (let query = 0; query < n; query++) {
        const seen = at(1, position, query) + at(2, position, 3 * query);
        scores[sentence * n + query]! += Math.abs(Math.sin(query * 2.1 + said + seen / 7)) / counts[window]!;
        for (let i = 0; i < k; i++) {
          allKernels[((sentence * t + position) * n + query) * k + i] = Math.sin((query + 1) * (i + 1) * 1.3 + said);
        }
      }
      for (let at0 = 0; at0 < k * h0 * w0; at0++) {
        maskFeatures[(sentence * t + position) * k * h0 * w0 + at0] = at(0, position, at0) + Math.sin(at0 + said);
      }
    }
    const own = [...scores.subarray(sentence * n, (sentence + 1) * n)];
    const best = own.indexOf(Math.max(...own));
    chosen.push(best);
    for (let position = 0; position < t; position++) {
      const from = ((sentence * t + position) * n + best) * k;
      kernels.set(allKernels.subarray(from, from + k), (sentence * t + position) * k);
    }
  }
  return {
    referred_score: float([p, n], scores),
    query_index: ints(chosen),
    mask_kernels: float([p, t, k], kernels),
    all_mask_kernels: float([p, t, n, k], allKernels),
    mask_features: half([p, t, k, h0, w0], maskFeatures),
  };
}

/** What a stage runner does with this network's engines. Refuses inputs that are not finite, wherever they stand. */
export function runSynthetic({ engine, inputs }: StageCall): StageOutputs {
  for (const [name, tensor] of Object.entries(inputs)) {
    if (!tensor.dtype.startsWith('float')) continue;
    if (!floatsOf(tensor).every(Number.isFinite)) throw new Error(`${name} is not finite`);
  }
  return engine.includes('transformer') ? transformer(inputs) : backbone(inputs);
}
