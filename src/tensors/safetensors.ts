import { type FileHandle, open } from 'node:fs/promises';
import { z } from 'zod';
import { RvosError } from '../errors.js';
import { AtomicFile } from '../files/atomic-output.js';
import { openRegularFile } from '../files/open-regular-file.js';
import { toOutputError } from '../files/output-error.js';
import { allocate, readExactly } from '../files/read-exactly.js';
import { elementCount, elementSize, isDtype, type Tensor, type TensorInfo, typedView } from './tensor.js';

/** The format's own bound on its JSON header. */
const maxHeaderBytes = 100_000_000;
const maxDimensions = 64;
/** Header → entry → list. The JSON parser takes seconds and gigabytes over millions of brackets. */
const maxHeaderDepth = 3;

interface Location extends TensorInfo {
  /** Absolute byte offsets. */
  readonly begin: number;
  readonly end: number;
}

const size = z.number().int().nonnegative().max(Number.MAX_SAFE_INTEGER);
const entrySchema = z.object({
  dtype: z.string().max(16),
  shape: z.array(size).max(maxDimensions),
  data_offsets: z.tuple([size, size]),
});
const metadataSchema = z.record(z.string(), z.string());

/**
 * A safetensors file whose tensors are read one at a time. The header is checked whole when the file is opened: every
 * tensor within the file, none overlapping, no hole, sizes as the shapes say.
 */
export class SafetensorsFile implements AsyncDisposable {
  readonly #handle: FileHandle;
  readonly #locations: ReadonlyMap<string, Location>;

  private constructor(
    readonly path: string,
    handle: FileHandle,
    locations: ReadonlyMap<string, Location>,
    readonly metadata: ReadonlyMap<string, string>,
  ) {
    this.#handle = handle;
    this.#locations = locations;
  }

  /** Throws `RvosError` NOT_FOUND or BAD_TENSOR_FILE. */
  static async open(path: string): Promise<SafetensorsFile> {
    const handle = await openRegularFile(path);
    if (!handle) throw bad(path, 'is not a regular file');
    try {
      const { locations, metadata } = await readHeader(path, handle);
      return new SafetensorsFile(path, handle, locations, metadata);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  get tensors(): ReadonlyMap<string, TensorInfo> {
    return this.#locations;
  }

  /** Values of one tensor in memory of their own. Throws `RvosError` BAD_TENSOR_FILE if it is absent or cut off. */
  async read(name: string): Promise<Tensor> {
    const location = this.#locations.get(name);
    if (!location) throw bad(this.path, `has no tensor ${JSON.stringify(name)}`);
    const { dtype, shape, begin, end } = location;
    const bytes = allocate(end - begin, `tensor ${name}`);
    if ((await readExactly(this.#handle, bytes, begin)) !== bytes.length) throw bad(this.path, 'is truncated');
    return { dtype, shape, data: typedView(dtype, bytes) };
  }

  async close(): Promise<void> {
    await this.#handle.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** All tensors of a file at once. Throws `RvosError` NOT_FOUND or BAD_TENSOR_FILE. */
export async function readSafetensors(path: string): Promise<Map<string, Tensor>> {
  const file = await SafetensorsFile.open(path);
  try {
    const tensors = new Map<string, Tensor>();
    for (const name of file.tensors.keys()) tensors.set(name, await file.read(name));
    return tensors;
  } finally {
    await file.close();
  }
}

/** A tensor to be written: its values, or a function that makes them when their turn comes (then dropped again). */
export interface TensorSource extends TensorInfo {
  readonly data: Tensor['data'] | (() => Tensor['data'] | Promise<Tensor['data']>);
}

export interface WriteSafetensorsOptions {
  /** Replace an existing file. */
  readonly force?: boolean;
  readonly metadata?: ReadonlyMap<string, string>;
}

/**
 * Writes tensors to a file that appears when it is complete. Order: element size, largest first, then name, so that
 * every tensor is aligned and the same tensors give the same bytes. Throws `RvosError` OUTPUT_EXISTS (without `force`),
 * OUTPUT_NOT_WRITABLE, DISK_FULL; RangeError if a tensor's values and its shape disagree.
 */
export async function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, TensorSource>,
  options: WriteSafetensorsOptions = {},
): Promise<void> {
  const ordered = [...tensors].sort(
    ([a, x], [b, y]) => elementSize(y.dtype) - elementSize(x.dtype) || (a < b ? -1 : a > b ? 1 : 0),
  );
  const output = await AtomicFile.create(path, { force: options.force ?? false });
  try {
    const handle = await open(output.temporaryPath, 'r+');
    try {
      let position = await writePiece(handle, headerBytes(ordered, options.metadata), 0);
      for (const [name, source] of ordered) {
        const data = typeof source.data === 'function' ? await source.data() : source.data;
        if (data.length !== elementCount(source.shape) || data.BYTES_PER_ELEMENT !== elementSize(source.dtype)) {
          throw new RangeError(`tensor ${name}: ${data.length} values for ${source.dtype} [${source.shape}]`);
        }
        position += await writePiece(handle, new Uint8Array(data.buffer, data.byteOffset, data.byteLength), position);
      }
    } finally {
      await handle.close();
    }
  } catch (error) {
    await output.abort();
    throw toOutputError(error, path);
  }
  await output.finish();
}

function headerBytes(tensors: readonly [string, TensorInfo][], metadata?: ReadonlyMap<string, string>): Uint8Array {
  // Built as text: a property called __proto__ or 0 would not keep its place in an object.
  const fields: string[] = [];
  if (metadata && metadata.size > 0) fields.push(`"__metadata__":${JSON.stringify(Object.fromEntries(metadata))}`);
  let offset = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const end = offset + elementCount(shape) * elementSize(dtype);
    fields.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [offset, end] })}`);
    offset = end;
  }
  const json = Buffer.from(`{${fields.join(',')}}`);
  const length = Math.ceil(json.length / 8) * 8;
  const bytes = Buffer.alloc(8 + length, ' ');
  bytes.writeBigUInt64LE(BigInt(length), 0);
  json.copy(bytes, 8);
  return bytes;
}

async function writePiece(handle: FileHandle, bytes: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < bytes.length) {
    const length = Math.min(64 * 2 ** 20, bytes.length - done);
    done += (await handle.write(bytes, done, length, position + done)).bytesWritten;
  }
  return done;
}

async function readHeader(path: string, handle: FileHandle) {
  const fileBytes = (await handle.stat()).size;
  const start = Buffer.alloc(8);
  if ((await readExactly(handle, start, 0)) !== 8) throw bad(path, 'is shorter than 8 bytes');
  const headerLength = start.readBigUInt64LE();
  if (headerLength > maxHeaderBytes || headerLength > fileBytes - 8) {
    throw bad(path, `claims a header of ${headerLength} bytes`);
  }
  const text = Buffer.alloc(Number(headerLength));
  if ((await readExactly(handle, text, 8)) !== text.length) throw bad(path, 'is truncated');
  const entries = parseHeader(path, text);

  const dataStart = 8 + text.length;
  const locations = new Map<string, Location>();
  let metadata = new Map<string, string>();
  for (const [name, value] of entries) {
    if (name === '__metadata__') {
      const parsed = metadataSchema.safeParse(value);
      if (!parsed.success) throw bad(path, 'has a __metadata__ that is not a map of strings');
      metadata = new Map(Object.entries(parsed.data));
    } else {
      locations.set(name, location(path, name, value, dataStart));
    }
  }
  checkCoverage(path, locations, dataStart, fileBytes);
  return { locations, metadata };
}

function parseHeader(path: string, text: Buffer): [string, unknown][] {
  if (nestingDepth(text) > maxHeaderDepth) throw bad(path, 'has a header nested too deeply');
  let value: unknown;
  try {
    value = JSON.parse(text.toString('utf8'));
  } catch (cause) {
    throw bad(path, 'has a header that is not JSON', cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw bad(path, 'has a header that is not a JSON object');
  }
  return Object.entries(value);
}

/** Greatest depth of brackets outside strings. */
function nestingDepth(json: Uint8Array): number {
  let [depth, greatest, inString] = [0, 0, false];
  for (let i = 0; i < json.length; i++) {
    const byte = json[i];
    if (byte === 0x22) inString = !inString;
    else if (inString) i += byte === 0x5c ? 1 : 0;
    else if (byte === 0x7b || byte === 0x5b) greatest = Math.max(greatest, ++depth);
    else if (byte === 0x7d || byte === 0x5d) depth--;
  }
  return greatest;
}

function location(path: string, name: string, value: unknown, dataStart: number): Location {
  const label = JSON.stringify(name.slice(0, 200));
  const parsed = entrySchema.safeParse(value);
  if (!parsed.success) throw bad(path, `describes tensor ${label} in an unknown form`);
  const { dtype, shape, data_offsets: offsets } = parsed.data;
  if (!isDtype(dtype)) throw bad(path, `has tensor ${label} of unknown type ${JSON.stringify(dtype)}`);
  const bytes = elementCount(shape) * elementSize(dtype);
  // Beyond 2^53 the product is inexact, but then it is far beyond any file.
  if (!(bytes === offsets[1] - offsets[0])) throw bad(path, `has tensor ${label} whose shape and size disagree`);
  return { dtype, shape, begin: dataStart + offsets[0], end: dataStart + offsets[1] };
}

function checkCoverage(path: string, locations: Map<string, Location>, dataStart: number, fileBytes: number): void {
  let position = dataStart;
  for (const [name, { begin, end }] of [...locations].sort(([, a], [, b]) => a.begin - b.begin || a.end - b.end)) {
    const label = JSON.stringify(name.slice(0, 200));
    if (begin !== position)
      throw bad(path, `has ${begin < position ? 'overlapping data' : 'a hole'} at tensor ${label}`);
    if (end > fileBytes) throw bad(path, `is truncated: tensor ${label} ends at ${end}, the file at ${fileBytes}`);
    position = end;
  }
  if (position !== fileBytes) throw bad(path, `has ${fileBytes - position} bytes after its last tensor`);
}

function bad(path: string, what: string, cause?: unknown): RvosError {
  return new RvosError('BAD_TENSOR_FILE', `${path} ${what}`, 'Make or copy the safetensors file again.', { cause });
}
