import { randomBytes } from 'node:crypto';
import { lstat, readdir, rename, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { RvosError } from '../errors.js';
import { withFolderLock } from '../files/folder-lock.js';
import { makeFolder } from '../files/make-folder.js';
import { toOutputError } from '../files/output-error.js';
import { removeAtExit } from '../files/remove-at-exit.js';
import { type CacheRoom, cacheBytes, cacheRoot, keptRooms } from './cache-folder.js';
import { mayBeAlive, processLabel } from './live-process.js';

/** A folder of the cache that is open (its time says when it was last opened or closed): nobody sweeps it out before `release()`, or before this process ends. */
export interface CacheEntry extends AsyncDisposable {
  readonly path: string;
  /** To be called after files were written: what was not used for the longest time goes if the cache is over its bound. */
  written(): Promise<void>;
  release(): Promise<void>;
}

const markPrefix = '.in-use-';
const sweptPrefix = '.swept-';
let opened = 0;

/** Marks of this process, touched now and then: another machine that shares the cache knows it by that only. */
const ownMarks = new Set<string>();
const signOfLifeMilliseconds = 3600 * 1000;
let signs: NodeJS.Timeout | undefined;

/**
 * Opens, and makes if need be, the folder `name` in a room of the cache. Throws `RvosError` OUTPUT_NOT_WRITABLE, with
 * the remedy for a cache, or DISK_FULL.
 */
export async function openCacheEntry(
  room: Exclude<CacheRoom, 'models' | 'kit'>,
  name: string,
  cacheFolder?: string,
): Promise<CacheEntry> {
  const root = cacheRoot(cacheFolder);
  const path = join(root, room, name);
  const mark = join(path, `${markPrefix}${++opened}_${processLabel()}`);
  let forget: () => void;
  try {
    await makeFolder(root);
    forget = await withFolderLock(root, async () => {
      await makeFolder(path);
      await writeFile(mark, '');
      return removeAtExit(mark);
    });
  } catch (error) {
    throw notWritable(error, path);
  }
  ownMarks.add(mark);
  if (ownMarks.size === 1) signs = setInterval(() => ownMarks.forEach(touch), signOfLifeMilliseconds).unref();
  const release = async () => {
    ownMarks.delete(mark);
    if (ownMarks.size === 0) clearInterval(signs);
    await rm(mark, { force: true });
    forget();
  };
  return {
    path,
    written: () => sweep(root, cacheBytes()),
    release,
    [Symbol.asyncDispose]: release,
  };
}

interface Found {
  readonly path: string;
  readonly bytes: number;
  readonly used: number;
  readonly open: boolean;
}

/**
 * Takes the least recently used entries out of all rooms but the kept ones until they hold no more than `bytes`. Open
 * entries stay, whoever opened them. A file that also lies elsewhere (the hard link of a model's weights) takes no space.
 */
async function sweep(root: string, bytes: number): Promise<void> {
  const swept: string[] = [];
  await withFolderLock(root, async () => {
    const entries = await foundEntries(root);
    let total = entries.reduce((sum, entry) => sum + entry.bytes, 0);
    for (const entry of entries.sort((a, b) => a.used - b.used)) {
      if (total <= bytes) break;
      if (entry.open || entry.bytes === 0) continue;
      // Out of the way in one step; removing it may take longer than a lock may be held.
      const aside = join(root, `${sweptPrefix}${randomBytes(6).toString('hex')}`);
      await rename(entry.path, aside);
      swept.push(aside);
      total -= entry.bytes;
    }
    // Left by a process that died while it removed them.
    for (const name of await readdir(root)) {
      if (name.startsWith(sweptPrefix) && !swept.includes(join(root, name))) swept.push(join(root, name));
    }
  });
  for (const path of swept) await rm(path, { recursive: true, force: true });
}

async function foundEntries(root: string): Promise<Found[]> {
  const found: Found[] = [];
  for (const room of await readdir(root, { withFileTypes: true })) {
    if (!room.isDirectory() || room.name.startsWith('.') || keptRooms.includes(room.name)) continue;
    const folder = join(root, room.name);
    for (const name of await readdir(folder)) {
      const entry = await describe(join(folder, name)).catch(() => undefined); // gone meanwhile
      if (entry) found.push(entry);
    }
  }
  return found;
}

async function describe(path: string): Promise<Found> {
  const own = await lstat(path);
  let bytes = 0;
  let open = false;
  const walk = async (folder: string): Promise<void> => {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const inside = join(folder, entry.name);
      if (entry.isDirectory()) {
        await walk(inside);
        continue;
      }
      const { size, nlink, mtimeMs: written } = await lstat(inside);
      if (!entry.name.startsWith(markPrefix)) bytes += nlink > 1 ? 0 : size;
      else if (mayBeAlive(entry.name.slice(markPrefix.length).replace(/^\d+_/, ''), Date.now() - written)) open = true;
      else await rm(inside, { force: true });
    }
  };
  if (own.isDirectory()) {
    await walk(path);
    // Removing the mark of a dead process was no use of the entry.
    await utimes(path, own.atime, own.mtime);
  } else bytes = own.size;
  return { path, bytes, used: own.mtimeMs, open };
}

async function touch(path: string): Promise<void> {
  const now = new Date();
  await utimes(path, now, now).catch(() => undefined); // swept or removed by hand meanwhile
}

function notWritable(error: unknown, path: string): unknown {
  const typed = toOutputError(error, path);
  if (!(typed instanceof RvosError) || typed.code !== 'OUTPUT_NOT_WRITABLE') return typed;
  return new RvosError(
    'OUTPUT_NOT_WRITABLE',
    `the cache folder ${path} cannot be written to`,
    'Set RVOS_HOME (SDK: cacheFolder) to a folder that is.',
    { cause: error },
  );
}
