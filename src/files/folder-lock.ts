import { open, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { RvosError } from '../errors.js';
import { toOutputError } from './output-error.js';
import { removeAtExit } from './remove-at-exit.js';

/** A lock is held for as long as a few renames take; one that is this old was left by a process that died. */
const staleMilliseconds = 30_000;
const patienceMilliseconds = 60_000;

/**
 * Runs `work` while no other process runs its own in the same folder. For short work only: several renames that must
 * not mix with those of somebody else. Throws `RvosError` OUTPUT_NOT_WRITABLE, DISK_FULL.
 */
export async function withFolderLock<T>(folder: string, work: () => Promise<T>): Promise<T> {
  const path = join(folder, '.lock');
  const began = Date.now();
  for (;;) {
    try {
      await (await open(path, 'wx')).close();
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw toOutputError(error, path);
    }
    const found = await stat(path).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > staleMilliseconds) await rm(path, { force: true });
    else if (Date.now() - began > patienceMilliseconds) {
      throw new RvosError(
        'OUTPUT_NOT_WRITABLE',
        `${folder} is locked by another process`,
        `Remove ${path} if there is none.`,
      );
    } else await sleep(20);
  }
  const forget = removeAtExit(path);
  try {
    return await work();
  } finally {
    forget();
    await rm(path, { force: true });
  }
}
