import { readFileSync } from 'node:fs';

export interface GoldenTensor {
  readonly shape: readonly number[];
  readonly data: Float32Array | Uint8Array | BigInt64Array;
}

/** All tensors of a golden file, by name. */
export function readGoldens(path: string): Map<string, GoldenTensor> {
  const file = readFileSync(path);
  const headerEnd = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString('utf8', 8, headerEnd)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const tensors = new Map<string, GoldenTensor>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    const [start, end] = entry.data_offsets;
    const bytes = new Uint8Array(file.subarray(headerEnd + start, headerEnd + end));
    const views: Record<string, () => GoldenTensor['data']> = {
      U8: () => bytes,
      F32: () => new Float32Array(bytes.buffer),
      I64: () => new BigInt64Array(bytes.buffer),
    };
    tensors.set(name, { shape: entry.shape, data: views[entry.dtype]!() });
  }
  return tensors;
}

export function bytesOf(tensors: Map<string, GoldenTensor>, name: string): Uint8Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Uint8Array)) throw new Error(`no uint8 golden named ${name}`);
  return data;
}

export function floatsOf(tensors: Map<string, GoldenTensor>, name: string): Float32Array {
  const data = tensors.get(name)?.data;
  if (!(data instanceof Float32Array)) throw new Error(`no float32 golden named ${name}`);
  return data;
}

export function shapeOf(tensors: Map<string, GoldenTensor>, name: string): readonly number[] {
  const tensor = tensors.get(name);
  if (!tensor) throw new Error(`no golden named ${name}`);
  return tensor.shape;
}

/** Path of a file below test/goldens. */
export function goldenPath(relative: string): string {
  return new URL(`../goldens/${relative}`, import.meta.url).pathname;
}
