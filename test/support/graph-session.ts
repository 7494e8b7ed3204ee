import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { Precision, StageName } from '../../src/model/architecture.js';
import type { ClipSize, FrameSize } from '../../src/model/clip-size.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import type { Sums } from '../../src/model/onnx/graph-builder.js';
import { stageGraph } from '../../src/model/stages/index.js';
import type { Target } from '../../src/model/target.js';
import { fromHalf, toHalf } from '../../src/tensors/float16.js';

export interface GraphVariant {
  readonly target: Target;
  readonly compute?: Precision;
  readonly sums?: Sums;
  readonly clip?: ClipSize | FrameSize;
}

let count = 0;

/**
 * Runs a graph of a model on ONNX Runtime, whatever target it was written for, and frees its session. The graph has to lie
 * beside the weights while it is opened; it is gone afterwards, for the folder may be the product's own.
 */
export async function runGraph(
  model: ModelFolder,
  stage: StageName,
  variant: GraphVariant,
  feeds: Record<string, Tensor>,
): Promise<Record<string, Tensor>> {
  const path = join(model.path, `test-${process.pid}-${count++}.onnx`);
  const graph = stageGraph(stage, { architecture: model.architecture, stored: model.precision, ...variant });
  let session: InferenceSession;
  try {
    await writeFile(path, graph);
    session = await InferenceSession.create(path, {
      intraOpNumThreads: 1,
      logSeverityLevel: 3,
      enableMemPattern: false,
    });
  } finally {
    await rm(path, { force: true });
  }
  try {
    return (await session.run(feeds)) as Record<string, Tensor>;
  } finally {
    await session.release();
  }
}

export function floats(data: Float32Array, shape: readonly number[]): Tensor {
  return new Tensor('float32', data, shape);
}

/** Values a graph computes with: FP16 where it is one in FP16 for engines. */
export function activations(data: Float32Array, shape: readonly number[], { target, compute }: GraphVariant): Tensor {
  if (target === 'onnxruntime' || compute !== 'fp16') return floats(data, shape);
  const half = new Uint16Array(data.length);
  const overflow = toHalf(data, half);
  if (overflow) throw new RangeError(`${overflow.value} is beyond FP16`);
  return new Tensor('float16', half, shape);
}

export function ints(values: readonly number[]): Tensor {
  return new Tensor('int32', Int32Array.from(values), [values.length]);
}

export function dataOf(results: Record<string, Tensor>, name: string): Float32Array {
  const data = results[name]?.data;
  if (results[name]?.type === 'float16') return fromHalf(data as Uint16Array);
  if (!(data instanceof Float32Array)) throw new Error(`no float output ${name}`);
  return data;
}

/** The whole network over one clip and its sentences, features of all stages kept. */
export async function runNetwork(
  model: ModelFolder,
  variant: GraphVariant & { readonly compute: Precision; readonly clip: ClipSize },
  frames: Float32Array,
  sentences: { readonly ids: BigInt64Array; readonly mask: BigInt64Array; readonly count: number },
): Promise<Record<string, Tensor>> {
  const { clip, target } = variant;
  const size = [sentences.count, sentences.ids.length / sentences.count];
  const attention_mask = new Tensor('int64', sentences.mask, size);
  const text = await runGraph(model, 'text-encoder', variant, {
    input_ids: new Tensor('int64', sentences.ids, size),
    attention_mask,
  });
  const given = frames.length / (3 * clip.height * clip.width);
  const all = new Float32Array(clip.frames * 3 * clip.height * clip.width);
  all.set(frames);
  const frame_count = ints([given]);
  const levels = await runGraph(model, 'backbone', variant, {
    frames: activations(all, [1, clip.frames, 3, clip.height, clip.width], variant),
    ...(target === 'tensorrt' ? { frame_count } : {}),
  });
  const window_index = ints(new Array(sentences.count).fill(0));
  const { text_features } = text;
  const outputs = await runGraph(model, 'transformer', variant, {
    ...levels,
    frame_count,
    text_features: text_features!,
    attention_mask,
    window_index,
  });
  return { ...levels, ...text, ...outputs };
}

/** Mask logits [P, T, N, h0, w0] of all object queries. */
export function maskLogits(outputs: Record<string, Tensor>): Float32Array {
  const kernels = dataOf(outputs, 'all_mask_kernels');
  const features = dataOf(outputs, 'mask_features');
  const [p, t, n, k] = outputs.all_mask_kernels!.dims as [number, number, number, number];
  const pixels = features.length / (p * t * k);
  const logits = new Float32Array(p * t * n * pixels);
  for (let frame = 0; frame < p * t; frame++) {
    for (let query = 0; query < n; query++) {
      const target = logits.subarray((frame * n + query) * pixels, (frame * n + query + 1) * pixels);
      for (let c = 0; c < k; c++) {
        const weight = kernels[(frame * n + query) * k + c]!;
        const feature = (frame * k + c) * pixels;
        for (let i = 0; i < pixels; i++) target[i]! += weight * features[feature + i]!;
      }
    }
  }
  return logits;
}
