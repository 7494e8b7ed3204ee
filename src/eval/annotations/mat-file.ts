import { inflateSync } from 'node:zlib';
import { badAnnotation, maxAnnotationBytes } from './bad-annotation.js';

/*
 * MATLAB level 5 files, as far as JHMDB uses them: named numeric arrays, compressed or not (MathWorks, "MAT-File
 * Format", level 5). Elements are a tag (type, bytes) and data padded to 8 bytes; small ones stand within the tag.
 */

const headerBytes = 128;
const types = { int32: 5, uint32: 6, matrix: 14, compressed: 15 } as const;
/** Bytes of each numeric type and how a value of it is read. */
const numbers = new Map<
  number,
  { readonly bytes: number; readonly read: (view: DataView, at: number, little: boolean) => number }
>([
  [1, { bytes: 1, read: (view, at) => view.getInt8(at) }],
  [2, { bytes: 1, read: (view, at) => view.getUint8(at) }],
  [3, { bytes: 2, read: (view, at, little) => view.getInt16(at, little) }],
  [4, { bytes: 2, read: (view, at, little) => view.getUint16(at, little) }],
  [5, { bytes: 4, read: (view, at, little) => view.getInt32(at, little) }],
  [6, { bytes: 4, read: (view, at, little) => view.getUint32(at, little) }],
  [7, { bytes: 4, read: (view, at, little) => view.getFloat32(at, little) }],
  [9, { bytes: 8, read: (view, at, little) => view.getFloat64(at, little) }],
]);
/** Array classes that hold plain numbers: double, single, int8 … uint32. */
const numericClasses = new Set([6, 7, 8, 9, 10, 11, 12, 13]);

/** A numeric array: `at(i)` in MATLAB's order, the first dimension fastest. */
export interface MatArray {
  readonly shape: readonly number[];
  readonly length: number;
  at(index: number): number;
}

interface Element {
  readonly type: number;
  readonly data: Buffer;
  readonly next: number;
}

/** The array called `name`. Throws `RvosError` BAD_DATA_SET naming `path` for anything malformed or too large. */
export function readMatArray(bytes: Buffer, name: string, path: string): MatArray {
  const little = byteOrder(bytes, path);
  for (let at = headerBytes; at + 8 <= bytes.length; ) {
    const element = readElement(bytes, at, little, path);
    at = element.next;
    const matrix = element.type === types.compressed ? inflate(element.data, little, path) : element;
    if (matrix.type !== types.matrix) continue;
    const found = readMatrix(matrix.data, name, little, path);
    if (found) return found;
  }
  throw badAnnotation(path, `has no array ${name}`);
}

function byteOrder(bytes: Buffer, path: string): boolean {
  const mark = bytes.toString('latin1', 126, 128);
  if (bytes.length < headerBytes || (mark !== 'IM' && mark !== 'MI')) {
    throw badAnnotation(path, 'is no MATLAB 5 file');
  }
  return mark === 'IM';
}

function readElement(bytes: Buffer, at: number, little: boolean, path: string): Element {
  if (at + 8 > bytes.length) throw badAnnotation(path, 'ends within an element');
  const uint = (offset: number) => (little ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset));
  const first = uint(at);
  const small = first >>> 16;
  if (small > 0) {
    if (small > 4) throw badAnnotation(path, 'has a malformed element');
    return { type: first & 0xffff, data: bytes.subarray(at + 4, at + 4 + small), next: at + 8 };
  }
  const length = uint(at + 4);
  const end = at + 8 + length;
  if (end > bytes.length) throw badAnnotation(path, 'ends within an element');
  const data = bytes.subarray(at + 8, end);
  // Compressed elements alone are not padded.
  return { type: first, data, next: first === types.compressed ? end : at + 8 + Math.ceil(length / 8) * 8 };
}

function inflate(data: Buffer, little: boolean, path: string): Element {
  let inflated: Buffer;
  try {
    inflated = inflateSync(data, { maxOutputLength: maxAnnotationBytes });
  } catch (cause) {
    throw badAnnotation(path, 'has damaged compressed data', cause);
  }
  return readElement(inflated, 0, little, path);
}

/** Undefined if the matrix has another name or is no numeric array. */
function readMatrix(bytes: Buffer, name: string, little: boolean, path: string): MatArray | undefined {
  const flags = readElement(bytes, 0, little, path);
  const dimensions = readElement(bytes, flags.next, little, path);
  const label = readElement(bytes, dimensions.next, little, path);
  if (label.data.toString('latin1') !== name) return undefined;
  if (flags.type !== types.uint32 || dimensions.type !== types.int32 || flags.data.length < 4) {
    throw badAnnotation(path, `array ${name} has no proper header`);
  }
  const kind = (little ? flags.data.readUInt32LE(0) : flags.data.readUInt32BE(0)) & 0xff;
  if (!numericClasses.has(kind)) throw badAnnotation(path, `array ${name} holds no numbers`);
  const shape = Array.from({ length: dimensions.data.length >> 2 }, (_, i) =>
    little ? dimensions.data.readInt32LE(4 * i) : dimensions.data.readInt32BE(4 * i),
  );
  const values = readElement(bytes, label.next, little, path);
  const number = numbers.get(values.type);
  const length = shape.reduce((product, size) => product * size, 1);
  if (!number || shape.some((size) => size < 0) || values.data.length !== length * number.bytes) {
    throw badAnnotation(path, `array ${name} does not have the values its size asks for`);
  }
  const view = new DataView(values.data.buffer, values.data.byteOffset, values.data.byteLength);
  return { shape, length, at: (index) => number.read(view, index * number.bytes, little) };
}
