import { RvosError } from '../../errors.js';
import { SafetensorsFile } from '../../tensors/safetensors.js';
import { toFloat32 } from '../../tensors/tensor.js';
import type { Checkpoint } from './checkpoint.js';
import { withoutPrefix } from './key-prefix.js';

/** A checkpoint in safetensors; same errors as other checkpoints. */
export async function openSafetensorsCheckpoint(path: string): Promise<Checkpoint> {
  const file = await asCheckpoint(() => SafetensorsFile.open(path));
  const names = withoutPrefix(file.tensors.keys());
  const close = () => file.close();
  return {
    path,
    format: 'safetensors',
    tensors: new Map([...names].map(([name, stored]) => [name, file.tensors.get(stored)!])),
    read: (name) => asCheckpoint(async () => toFloat32(await file.read(names.get(name) ?? name))),
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function asCheckpoint<T>(action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (!(error instanceof RvosError) || error.code !== 'BAD_TENSOR_FILE') throw error;
    throw new RvosError('BAD_CHECKPOINT', error.message, error.hint, { cause: error });
  }
}
