import { readFileSync } from 'node:fs';
import { loadCore } from '../../src/native/load-core.js';
import { bytesOf, floatsOf, type GoldenTensor, goldenPath, readGoldens, shapeOf } from './safetensors.js';

/** One clip that the original implementation saw with its sentences. */
export interface GoldenCase {
  readonly tensors: Map<string, GoldenTensor>;
  readonly description: { readonly padded_size: [number, number]; readonly original_sizes: [number, number][] };
  readonly clip: { readonly frames: number; readonly height: number; readonly width: number };
  /** float32 [T,3,h,w], normalised. */
  readonly frames: Float32Array;
  readonly sentences: { readonly ids: BigInt64Array; readonly mask: BigInt64Array; readonly count: number };
}

export async function readGoldenCase(name: string): Promise<GoldenCase> {
  const tensors = readGoldens(goldenPath(`cases/${name}.safetensors`));
  const description = JSON.parse(readFileSync(goldenPath(`cases/${name}.json`), 'utf8'));
  const [frames, height, width] = shapeOf(tensors, 'frames.0') as [number, number, number];
  const target = new Float32Array(frames * height * width * 3);
  const mean = [0.485, 0.456, 0.406];
  const std = [0.229, 0.224, 0.225];
  await loadCore().normalise({ source: bytesOf(tensors, 'frames.0'), frames, height, width, mean, std, target });
  const ids = tensors.get('input_ids')!;
  const mask = tensors.get('attention_mask')!.data as BigInt64Array;
  const sentences = { ids: ids.data as BigInt64Array, mask, count: ids.shape[0]! };
  return { tensors, description, clip: { frames, height, width }, frames: target, sentences };
}

/** A golden [a, b, rest…] as [b, a, rest…]: PyTorch keeps time or tokens before the batch. */
export function swapped(tensors: Map<string, GoldenTensor>, name: string): Float32Array {
  const data = floatsOf(tensors, name);
  const [a, b] = shapeOf(tensors, name) as [number, number];
  const size = data.length / (a * b);
  const result = new Float32Array(data.length);
  for (let i = 0; i < a; i++) {
    for (let j = 0; j < b; j++)
      result.set(data.subarray((i * b + j) * size, (i * b + j + 1) * size), (j * a + i) * size);
  }
  return result;
}
