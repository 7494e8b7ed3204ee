import { readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mayBeAlive, processLabel } from '../cache/live-process.js';
import { throwIfAborted } from '../errors.js';
import { withFolderLock } from '../files/folder-lock.js';
import { removeAtExit } from '../files/remove-at-exit.js';

const signOfLifeMilliseconds = 20_000;
/** A holder on another machine that gave no sign for this long is dead. */
const foreignMilliseconds = 5 * 60_000;
const lookMilliseconds = 300;

/**
 * Runs `work` while no other pull of the same model does, in this process or another: they wait, and find the model when it
 * is their turn. The lock is a file in `folder`; one whose process is gone is taken over.
 */
export async function withPullLock<T>(
  folder: string,
  key: string,
  work: () => Promise<T>,
  { onWait, signal }: { readonly onWait?: (() => void) | undefined; readonly signal?: AbortSignal | undefined },
): Promise<T> {
  const path = join(folder, `${key}.pulling`);
  for (;;) {
    throwIfAborted(signal);
    const taken = await withFolderLock(folder, async () => {
      if (await isHeld(path)) return false;
      await writeFile(path, processLabel());
      return true;
    });
    if (taken) break;
    onWait?.();
    await sleep(lookMilliseconds, undefined, { signal }).catch(() => throwIfAborted(signal));
  }
  const forget = removeAtExit(path);
  const sign = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => undefined);
  }, signOfLifeMilliseconds).unref();
  try {
    return await work();
  } finally {
    clearInterval(sign);
    forget();
    await rm(path, { force: true });
  }
}

async function isHeld(path: string): Promise<boolean> {
  try {
    const [label, { mtimeMs }] = await Promise.all([readFile(path, 'utf8'), stat(path)]);
    return mayBeAlive(label, Date.now() - mtimeMs, foreignMilliseconds);
  } catch {
    return false;
  }
}
