import type { FileHandle } from 'node:fs/promises';
import { RvosError } from '../errors.js';

/** Largest piece of one read call: some systems refuse 2 GiB and more. */
const pieceBytes = 64 * 2 ** 20;

/**
 * Fills `target` from byte `position` of the file. Returns the number of bytes read, which is less than asked for only
 * at the end of the file.
 */
export async function readExactly(handle: FileHandle, target: Uint8Array, position: number): Promise<number> {
  let done = 0;
  while (done < target.length) {
    const length = Math.min(pieceBytes, target.length - done);
    const { bytesRead } = await handle.read(target, done, length, position + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return done;
}

/** A fresh buffer of `length` bytes. Throws `RvosError` OUT_OF_MEMORY, naming `what`, where there is not that much. */
export function allocate(length: number, what: string): Uint8Array<ArrayBuffer> {
  try {
    return new Uint8Array(length);
  } catch (cause) {
    throw new RvosError('OUT_OF_MEMORY', `${what} needs ${length} bytes of memory`, 'Use a machine with more memory.', {
      cause,
    });
  }
}
