import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { mayBeAlive, processLabel } from '../cache/live-process.js';
import { RvosError } from '../errors.js';
import { withFolderLock } from '../files/folder-lock.js';
import { removeAtExit } from '../files/remove-at-exit.js';

const signOfLifeMilliseconds = 20_000;
/** A holder on another machine that gave no sign for this long is dead. */
const foreignMilliseconds = 5 * 60_000;

/**
 * Makes a folder of jobs this server's own: two on one would run each other's jobs and sweep each other's files. A lock whose
 * process is gone is taken over. Throws `RvosError` BAD_STORE, OUTPUT_NOT_WRITABLE, DISK_FULL.
 */
export async function lockData(folder: string): Promise<{ release(): Promise<void> }> {
  const path = join(folder, 'in-use');
  const label = processLabel();
  await withFolderLock(folder, async () => {
    const [holder, touched] = await Promise.all([
      readFile(path, 'utf8').catch(() => ''),
      stat(path).then(
        ({ mtimeMs }) => mtimeMs,
        () => 0,
      ),
    ]);
    if (mayBeAlive(holder, Date.now() - touched, foreignMilliseconds)) {
      throw new RvosError(
        'BAD_STORE',
        `${folder} is in use by another server (${holder})`,
        'Give each server a folder of its own (--data), or end the other one.',
      );
    }
    await writeFile(path, label);
  });
  const forget = removeAtExit(path);
  const sign = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, signOfLifeMilliseconds).unref();
  return {
    async release() {
      clearInterval(sign);
      forget();
      if ((await readFile(path, 'utf8').catch(() => '')) === label) await rm(path, { force: true });
    },
  };
}
