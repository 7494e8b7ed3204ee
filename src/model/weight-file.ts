import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { RvosError, throwIfAborted } from '../errors.js';
import { largestHalf, toHalf } from '../tensors/float16.js';
import type { Architecture, Precision } from './architecture.js';
import type { Checkpoint } from './checkpoint/checkpoint.js';
import { type WeightEntry, weightLayout, weightOffsets } from './weight-layout.js';

export interface WeightFileOptions {
  readonly precision: Precision;
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file written so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/**
 * Writes `weights.bin` from a checkpoint whose keys have been checked, one tensor at a time; returns its size and
 * SHA-256. Throws `RvosError` BAD_CHECKPOINT naming a tensor with a value that is not finite, or beyond FP16's range;
 * ABORTED; file system errors as they are.
 */
export async function writeWeights(
  path: string,
  checkpoint: Checkpoint,
  architecture: Architecture,
  options: WeightFileOptions,
): Promise<{ bytes: number; sha256: string }> {
  const { entries: locations, totalBytes } = weightOffsets(architecture, options.precision);
  const hash = createHash('sha256');
  const file = await open(path, 'wx');
  try {
    let position = 0;
    let source: { readonly name: string; readonly values: Float32Array } | undefined;
    for (const entry of weightLayout(architecture)) {
      throwIfAborted(options.signal);
      // Rows of one parameter follow one another: it is read once.
      if (source?.name !== entry.from) source = { name: entry.from, values: await checkpoint.read(entry.from) };
      const values = arrange(source.values, entry);
      const bytes = stored(values, entry.from, checkpoint.path, options.precision);
      const { offset } = locations.get(entry.name)!;
      for (const piece of [new Uint8Array(offset - position), bytes]) {
        hash.update(piece);
        await file.writeFile(piece);
        position += piece.length;
      }
      options.onProgress?.(position, totalBytes);
    }
    return { bytes: position, sha256: hash.digest('hex') };
  } finally {
    await file.close();
  }
}

/** The rows and the order that `weights.bin` has. */
function arrange(values: Float32Array, { fromShape, rows, transpose }: WeightEntry): Float32Array {
  const height = fromShape[0] ?? 1;
  const width = height === 0 ? 0 : values.length / height;
  const [first, end] = rows ?? [0, height];
  const slice = values.subarray(first * width, end * width);
  return transpose ? transposed(slice, end - first, width) : slice;
}

/** [height, width] → [width, height], in blocks that stay in the cache. */
function transposed(source: Float32Array, height: number, width: number): Float32Array {
  const block = 32;
  const target = new Float32Array(source.length);
  for (let top = 0; top < height; top += block) {
    const bottom = Math.min(top + block, height);
    for (let left = 0; left < width; left += block) {
      const right = Math.min(left + block, width);
      for (let x = left; x < right; x++) {
        for (let y = top; y < bottom; y++) target[x * height + y] = source[y * width + x]!;
      }
    }
  }
  return target;
}

function stored(values: Float32Array, name: string, path: string, precision: Precision): Uint8Array {
  if (precision === 'fp32') {
    // Infinite and undefined values alone differ from themselves when multiplied by zero.
    for (let i = 0; i < values.length; i++) if (values[i]! * 0 !== 0) throw badValue(path, name, values[i]!);
    return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  }
  const half = new Uint16Array(values.length);
  const overflow = toHalf(values, half);
  if (overflow) throw badValue(path, name, overflow.value);
  return new Uint8Array(half.buffer);
}

function badValue(path: string, name: string, value: number): RvosError {
  if (!Number.isFinite(value)) {
    const remedy = 'The training run that wrote it had diverged, or the file is damaged: use another checkpoint.';
    return new RvosError('BAD_CHECKPOINT', `${path}: ${name} holds ${value}`, remedy);
  }
  const message = `${path}: ${name} holds ${value}, beyond the range of FP16 (±${largestHalf})`;
  return new RvosError('BAD_CHECKPOINT', message, 'Import it with --precision fp32.');
}
