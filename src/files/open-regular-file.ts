import { type FileHandle, open, stat } from 'node:fs/promises';
import { RvosError } from '../errors.js';

/**
 * Opens a file for reading; undefined if it is there but no regular file (opening a named pipe would wait for ever).
 * Throws `RvosError` NOT_FOUND if it is absent or may not be read.
 */
export async function openRegularFile(path: string): Promise<FileHandle | undefined> {
  try {
    if (!(await stat(path)).isFile()) return undefined;
    return await open(path, 'r');
  } catch (cause) {
    throw new RvosError('NOT_FOUND', `cannot open ${path}`, 'Check the path and its permissions.', { cause });
  }
}
