import type { FileHandle } from 'node:fs/promises';
import { allocate, readExactly } from '../../files/read-exactly.js';
import { type Dtype, elementCount, elementSize, type TensorInfo, toFloat32, typedView } from '../../tensors/tensor.js';
import { badCheckpoint } from './bad-checkpoint.js';
import type { Checkpoint } from './checkpoint.js';
import { withoutPrefix } from './key-prefix.js';
import { PickleProblem } from './pickle-build.js';
import { readPickle } from './pickle-machine.js';
import { PickleDict, type PickleValue, TorchTensor } from './pickle-values.js';
import { readZipEntries, type ZipEntry } from './zip-archive.js';

const maxPickleBytes = 64 * 2 ** 20;
/** An expanded tensor can claim any size: 2 GiB of float32 is far more than a parameter has. */
const maxElements = 2 ** 29;
/** Where training scripts put the state dict, the original's first. */
const wrappers = ['model_state_dict', 'state_dict', 'model'];

/**
 * What `torch.save` writes since 1.6: a zip file with a pickle and one entry a storage (model-spec §11). Takes over the
 * handle. Storages are read by offset when a tensor is asked for; several tensors may share one.
 */
export async function openTorchCheckpoint(path: string, handle: FileHandle): Promise<Checkpoint> {
  const entries = await readZipEntries(path, handle);
  const root = archiveRoot(path, entries);
  await checkByteOrder(path, handle, entries.get(`${root}/byteorder`));
  const pickle = await readEntry(path, handle, entries.get(`${root}/data.pkl`)!, maxPickleBytes);
  const tensors = stateDict(path, parse(path, pickle));
  for (const tensor of tensors.values()) checkStorage(path, tensor, entries.get(`${root}/data/${tensor.storage.key}`));

  const names = withoutPrefix(tensors.keys());
  const published = new Map([...names].map(([name, stored]) => [name, tensors.get(stored)!]));
  const close = () => handle.close();
  return {
    path,
    format: 'pytorch',
    tensors: new Map(
      [...published].map(([name, { storage, shape }]): [string, TensorInfo] => [name, { dtype: storage.dtype, shape }]),
    ),
    read: (name) => {
      const tensor = published.get(name);
      if (!tensor) throw badCheckpoint(path, `has no tensor ${JSON.stringify(name)}`);
      return readTensor(path, handle, name, tensor, entries.get(`${root}/data/${tensor.storage.key}`)!);
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The folder inside the archive is named after the file it was saved to, or `archive`. */
function archiveRoot(path: string, entries: ReadonlyMap<string, ZipEntry>): string {
  const roots = [...entries.keys()]
    .filter((name) => /^[^/]+\/data\.pkl$/.test(name))
    .map((name) => name.split('/')[0]!);
  if (roots.length !== 1) throw badCheckpoint(path, 'is a zip file, but not one that torch.save wrote');
  return roots[0]!;
}

async function checkByteOrder(path: string, handle: FileHandle, entry: ZipEntry | undefined): Promise<void> {
  if (!entry) return;
  const order = Buffer.from(await readEntry(path, handle, entry, 64)).toString('latin1');
  if (order !== 'little') throw badCheckpoint(path, 'was written on a big-endian machine');
}

function parse(path: string, pickle: Uint8Array): PickleValue {
  try {
    return readPickle(pickle);
  } catch (error) {
    if (!(error instanceof PickleProblem)) throw error;
    const where = `(byte ${error.position ?? 0} of its pickle)`;
    if (!error.asksForCode)
      throw badCheckpoint(path, `is damaged or hostile: its pickle ${error.message} ${where}`, error);
    const remedy =
      'rvos never runs code from a checkpoint: use one that holds only tensors, such as a saved state dict.';
    throw badCheckpoint(path, `${error.message} ${where}`, error, remedy);
  }
}

function stateDict(path: string, root: PickleValue): Map<string, TorchTensor> {
  if (!(root instanceof PickleDict)) throw badCheckpoint(path, 'does not hold a dict');
  const wrapper = wrappers.find((name) => root.entries.get(name) instanceof PickleDict);
  const dict = wrapper === undefined ? root : (root.entries.get(wrapper) as PickleDict);
  const tensors = new Map<string, TorchTensor>();
  for (const [name, value] of dict.entries) {
    const label = typeof name === 'string' ? JSON.stringify(name.slice(0, 200)) : 'a key that is not text';
    if (typeof name !== 'string' || !(value instanceof TorchTensor)) {
      throw badCheckpoint(path, `is not a state dict: ${label} is not a tensor`);
    }
    tensors.set(name, value);
  }
  if (tensors.size === 0) throw badCheckpoint(path, 'holds no tensors');
  return tensors;
}

function checkStorage(path: string, { storage }: TorchTensor, entry: ZipEntry | undefined): void {
  if (entry && entry.size >= storage.length * elementSize(storage.dtype)) return;
  throw badCheckpoint(path, `lacks data/${JSON.stringify(storage.key.slice(0, 100))} or a part of it`);
}

async function readTensor(
  path: string,
  handle: FileHandle,
  name: string,
  { storage, offset, shape, stride }: TorchTensor,
  entry: ZipEntry,
): Promise<Float32Array> {
  const count = elementCount(shape);
  if (count > maxElements) throw badCheckpoint(path, `has a tensor ${JSON.stringify(name)} of ${count} values`);
  if (count === 0) return new Float32Array(0);
  const size = elementSize(storage.dtype);
  const span = 1 + shape.reduce((sum, length, i) => sum + (length - 1) * stride[i]!, 0);
  const range = { offset: entry.offset + offset * size, size: span * size };
  const values = floats(storage.dtype, await readEntry(path, handle, range, range.size));
  return isContiguous(shape, stride) ? values : gather(values, shape, stride, count);
}

function floats(dtype: Dtype, bytes: Uint8Array): Float32Array {
  return toFloat32({ dtype, data: typedView(dtype, bytes) });
}

function isContiguous(shape: readonly number[], stride: readonly number[]): boolean {
  let expected = 1;
  for (let i = shape.length - 1; i >= 0; i--) {
    if (shape[i] !== 1 && stride[i] !== expected) return false;
    expected *= shape[i]!;
  }
  return true;
}

function gather(
  values: Float32Array,
  shape: readonly number[],
  stride: readonly number[],
  count: number,
): Float32Array {
  const result = new Float32Array(count);
  const index = new Array<number>(shape.length).fill(0);
  let source = 0;
  for (let i = 0; i < count; i++) {
    result[i] = values[source]!;
    // The next index in row-major order, and with it the next place in the storage.
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      source += stride[axis]!;
      if (++index[axis]! < shape[axis]!) break;
      source -= stride[axis]! * shape[axis]!;
      index[axis] = 0;
    }
  }
  return result;
}

async function readEntry(path: string, handle: FileHandle, entry: ZipEntry, most: number): Promise<Uint8Array> {
  if (entry.size > most) throw badCheckpoint(path, `has an entry of ${entry.size} bytes where at most ${most} can be`);
  const bytes = allocate(entry.size, path);
  if ((await readExactly(handle, bytes, entry.offset)) !== bytes.length) throw badCheckpoint(path, 'is truncated');
  return bytes;
}
