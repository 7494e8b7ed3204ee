import type { CoreAddon } from '../../src/native/core-addon.js';
import { loadCore } from '../../src/native/load-core.js';
import { toHalf } from '../../src/tensors/float16.js';

export type PreprocessJob = Parameters<CoreAddon['preprocessBatch']>[0];
export type MaskHeadJob = Parameters<CoreAddon['maskHeadBatch']>[0];

export const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] };

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** A generator of 32-bit numbers that is the same on every run. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return (mixed ^ (mixed >>> 15)) >>> 0;
  };
}

export function halvesOf(values: Float32Array): Uint16Array {
  const halves = new Uint16Array(values.length);
  toHalf(values, halves);
  return halves;
}

/** Planes float32 [3,h,w] of one interleaved RGB frame by way of the CPU path: resize, then normalise. */
export async function plainPreprocess(
  frame: Uint8Array,
  from: Size,
  to: Size,
  antialias: boolean,
  normalisation: { readonly mean: readonly number[]; readonly std: readonly number[] } = imageNet,
): Promise<Float32Array> {
  const core = loadCore();
  const resized = new Uint8Array(to.height * to.width * 3);
  await core.resize({
    source: frame,
    ...from,
    target: resized,
    targetHeight: to.height,
    targetWidth: to.width,
    antialias,
  });
  const planes = new Float32Array(resized.length);
  await core.normalise({ source: resized, frames: 1, ...to, ...normalisation, target: planes });
  return planes;
}

/** An interleaved frame with `pitch` bytes a row; the bytes between rows are noise. */
export function withPitch(frame: Uint8Array, rowBytes: number, pitch: number, noise: () => number): Uint8Array {
  const rows = frame.length / rowBytes;
  const padded = Uint8Array.from({ length: (rows - 1) * pitch + rowBytes }, noise);
  for (let y = 0; y < rows; y++) padded.set(frame.subarray(y * rowBytes, (y + 1) * rowBytes), y * pitch);
  return padded;
}
