import { fromBfloat16, fromHalf } from './float16.js';

/** Element types by their names in safetensors files; half precisions are held as their bits in a Uint16Array. */
const arrays = {
  F64: Float64Array,
  F32: Float32Array,
  F16: Uint16Array,
  BF16: Uint16Array,
  I64: BigInt64Array,
  I32: Int32Array,
  I16: Int16Array,
  I8: Int8Array,
  U64: BigUint64Array,
  U32: Uint32Array,
  U16: Uint16Array,
  U8: Uint8Array,
  BOOL: Uint8Array,
} as const;

export type Dtype = keyof typeof arrays;
export type TensorData =
  | Float64Array
  | Float32Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | BigUint64Array
  | Uint32Array
  | Uint8Array;

/** What is known of a tensor before its values are read. */
export interface TensorInfo {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
}

/** Values in row-major order; `data.length` is the product of `shape`. */
export interface Tensor extends TensorInfo {
  readonly data: TensorData;
}

export function isDtype(name: string): name is Dtype {
  return Object.hasOwn(arrays, name);
}

/** Bytes of one element. */
export function elementSize(dtype: Dtype): number {
  return arrays[dtype].BYTES_PER_ELEMENT;
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A typed view of little-endian bytes whose offset must be aligned to the element size. */
export function typedView(dtype: Dtype, bytes: Uint8Array): TensorData {
  const { buffer, byteOffset } = bytes;
  return new arrays[dtype](buffer as ArrayBuffer, byteOffset, bytes.byteLength / elementSize(dtype));
}

/** Any values as float32; float32 data comes back as it is, not copied. 64-bit values are rounded. */
export function toFloat32({ dtype, data }: Pick<Tensor, 'dtype' | 'data'>): Float32Array {
  if (data instanceof Float32Array) return data;
  if (data instanceof Uint16Array && dtype === 'F16') return fromHalf(data);
  if (data instanceof Uint16Array && dtype === 'BF16') return fromBfloat16(data);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) return Float32Array.from(data, Number);
  return Float32Array.from(data);
}

/** A float32 tensor. Throws RangeError if the shape and the number of values disagree. */
export function float32Tensor(shape: readonly number[], data: Float32Array): Tensor {
  if (elementCount(shape) !== data.length) throw new RangeError(`[${shape}] does not have ${data.length} values`);
  return { dtype: 'F32', shape, data };
}
