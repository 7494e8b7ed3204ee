import type { RvosError } from '../../errors.js';
import { openRegularFile } from '../../files/open-regular-file.js';
import { readExactly } from '../../files/read-exactly.js';
import type { TensorInfo } from '../../tensors/tensor.js';
import { badCheckpoint } from './bad-checkpoint.js';
import { openSafetensorsCheckpoint } from './safetensors-checkpoint.js';
import { openTorchCheckpoint } from './torch-checkpoint.js';

/** The tensors of a trained network, read one at a time; names as published, without prefixes. */
export interface Checkpoint extends AsyncDisposable {
  readonly path: string;
  readonly format: 'pytorch' | 'safetensors';
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** Values as float32 in row-major order. Throws `RvosError` BAD_CHECKPOINT. */
  read(name: string): Promise<Float32Array>;
  close(): Promise<void>;
}

/** First bytes of `torch.save` files from before PyTorch 1.6: a pickled magic number. */
const legacyMagic = Buffer.from('80028a0a6cfc9c46f920', 'hex');

/**
 * Opens a checkpoint file: what `torch.save` writes (bare or wrapped state dict, key prefixes `module.` and `model.`), or
 * safetensors. Nothing in the file is executed. Throws `RvosError` NOT_FOUND or BAD_CHECKPOINT.
 */
export async function openCheckpoint(path: string): Promise<Checkpoint> {
  const handle = await openRegularFile(path);
  if (!handle) throw badCheckpoint(path, 'is not a regular file');
  try {
    const start = Buffer.alloc(legacyMagic.length);
    const length = await readExactly(handle, start, 0);
    if (length >= 4 && start.readUInt32LE() === 0x04034b50) return await openTorchCheckpoint(path, handle);
    if (start.equals(legacyMagic)) throw legacyFormat(path);
    // A header of less than 2^32 bytes, which begins as JSON objects do.
    if (length === start.length && start.readUInt32LE(4) === 0 && start[8] === 0x7b) {
      await handle.close();
      return await openSafetensorsCheckpoint(path);
    }
    throw badCheckpoint(path, 'is neither a PyTorch checkpoint nor a safetensors file');
  } catch (error) {
    await handle.close().catch(() => {});
    throw error;
  }
}

function legacyFormat(path: string): RvosError {
  const remedy = 'Save it again with PyTorch 1.6 or newer: torch.save(torch.load(old), new).';
  return badCheckpoint(path, "is in PyTorch's old format (before 1.6)", undefined, remedy);
}
