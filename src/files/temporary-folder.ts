import { lstat, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mayBeAlive, processLabel } from '../cache/live-process.js';
import { toOutputError } from './output-error.js';
import { removeAtExit } from './remove-at-exit.js';

/**
 * A folder in the temporary directory. It goes with `remove()`, with the process, and when nobody can reach this object any
 * more. Where a process had no time for that (SIGKILL, a signal without a listener), the next one that needs such a
 * folder removes it: its name says whose it is.
 */
export interface TemporaryFolder {
  readonly path: string;
  /** Safe to call twice. */
  remove(): Promise<void>;
}

const forgotten = new FinalizationRegistry<() => Promise<void>>((remove) => void remove().catch(() => undefined));
const ownName = /^rvos-[a-z]+-(.+_\d+_\d*)-[A-Za-z0-9]{6}$/;
/** The directories that this process has looked through. */
const swept = new Set<string>();

/** Makes one, for a purpose in small letters that becomes part of its name. Throws OUTPUT_NOT_WRITABLE, DISK_FULL. */
export async function makeTemporaryFolder(purpose: string): Promise<TemporaryFolder> {
  const where = tmpdir();
  await sweepOnce(where);
  const path = await mkdtemp(join(where, `rvos-${purpose}-${processLabel()}-`)).catch((error: unknown) => {
    throw toOutputError(error, where);
  });
  const removal = removalOf(path);
  const folder = {
    path,
    async remove() {
      forgotten.unregister(folder);
      await removal();
    },
  };
  forgotten.register(folder, removal, folder);
  return folder;
}

/** Outside of the function that makes the folder's object: what a closure can see is never collected. */
function removalOf(path: string): () => Promise<void> {
  const forget = removeAtExit(path);
  return async () => {
    await rm(path, { recursive: true, force: true });
    forget();
  };
}

/** Removes what processes of this machine and user left that are no more. What cannot be removed stays. */
async function sweepOnce(where: string): Promise<void> {
  if (swept.has(where)) return;
  swept.add(where);
  for (const name of await readdir(where).catch(() => [])) {
    const owner = ownName.exec(name)?.[1];
    // Whether a process of another machine lives cannot be known: an age of 0 counts as alive.
    if (owner === undefined || mayBeAlive(owner, 0)) continue;
    const path = join(where, name);
    const found = await lstat(path).catch(() => undefined);
    if (!found?.isDirectory() || found.uid !== (process.getuid?.() ?? found.uid)) continue;
    await rm(path, { recursive: true, force: true }).catch(() => undefined);
  }
}
