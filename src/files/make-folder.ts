import { mkdir, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { RvosError } from '../errors.js';
import { toOutputError } from './output-error.js';

/**
 * Makes a folder and those it lies in; one that is there is left as it is. Throws `RvosError` OUTPUT_NOT_WRITABLE,
 * DISK_FULL. (Node's own recursive mkdir never ends where the system denies that a parent exists, as in /proc.)
 */
export async function makeFolder(path: string): Promise<void> {
  try {
    await make(resolve(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw toOutputError(error, path);
    const message = `cannot write ${path}: a file has that name`;
    throw new RvosError('OUTPUT_NOT_WRITABLE', message, 'Choose the name of a folder.', { cause: error });
  }
}

async function make(path: string): Promise<void> {
  try {
    await mkdir(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Whatever the system calls it, a folder that is there is what is wanted.
    if ((await stat(path).catch(() => undefined))?.isDirectory()) return;
    const parent = dirname(path);
    if (code !== 'ENOENT' || parent === path) throw error;
    await make(parent);
    await mkdir(path).catch(async (again: NodeJS.ErrnoException) => {
      if (again.code !== 'EEXIST') throw again; // else somebody else made it in between
    });
  }
}
