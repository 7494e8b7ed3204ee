import { lstatSync, mkdirSync, statSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { parseByteSize } from '../byte-size.js';
import { RvosError } from '../errors.js';
import { cacheSettings } from './cache-settings.js';

/**
 * The rooms of the cache. `models` holds what `rvos pull` made and `kit` what `rvos setup` fetched: they stay until they
 * are removed. The others share one bound (see `cache-entry.ts`).
 */
export const cacheRooms = ['models', 'kit', 'graphs', 'openvino'] as const;
export type CacheRoom = (typeof cacheRooms)[number];

/** Rooms that nothing is ever swept out of. */
export const keptRooms: readonly string[] = ['models', 'kit'];

const defaultCacheBytes = 4e9;

/**
 * The one cache folder: `cacheFolder` if given, else what `configure` set, else `$RVOS_HOME`, else `$XDG_CACHE_HOME/rvos`,
 * else `~/.cache/rvos`. A user without a home folder, as in many containers, gets a folder of their own in the temporary
 * directory. It need not exist. Throws `RvosError` OUTPUT_NOT_WRITABLE if that one is somebody else's.
 */
export function cacheRoot(cacheFolder?: string): string {
  const { RVOS_HOME, XDG_CACHE_HOME } = process.env;
  const named = cacheFolder || cacheSettings.folder || RVOS_HOME;
  if (named) return resolve(named);
  // The XDG specification has relative paths ignored.
  if (XDG_CACHE_HOME && isAbsolute(XDG_CACHE_HOME)) return join(XDG_CACHE_HOME, 'rvos');
  const home = homeFolder();
  return home === undefined ? temporaryRoot() : join(home, '.cache', 'rvos');
}

/** Folder of one room of the cache; it need not exist. Throws what {@link cacheRoot} throws. */
export function cacheRoom(room: CacheRoom, cacheFolder?: string): string {
  return join(cacheRoot(cacheFolder), room);
}

/** Bytes that all rooms but the kept ones may hold together. Throws `RvosError` BAD_ARGUMENT for a variable that says no size. */
export function cacheBytes(): number {
  if (cacheSettings.bytes !== undefined) return cacheSettings.bytes;
  const { RVOS_CACHE_BYTES } = process.env;
  return RVOS_CACHE_BYTES ? parseByteSize(RVOS_CACHE_BYTES, 'RVOS_CACHE_BYTES') : defaultCacheBytes;
}

function homeFolder(): string | undefined {
  try {
    const home = homedir();
    return isAbsolute(home) && statSync(home).isDirectory() ? home : undefined;
  } catch {
    // No such user (Node throws a SystemError for an unknown uid without HOME), or no such folder.
    return undefined;
  }
}

/** Anybody may make a folder in the temporary directory: only one that is this user's, closed to others, is taken. */
function temporaryRoot(): string {
  const user = process.getuid?.() ?? 'user';
  const path = join(tmpdir(), `rvos-cache-${user}`);
  try {
    mkdirSync(path, { mode: 0o700 });
  } catch (cause) {
    const found = lstatSync(path, { throwIfNoEntry: false });
    const own =
      found?.isDirectory() && (typeof user === 'string' || (found.uid === user && (found.mode & 0o022) === 0));
    if (!own) {
      throw new RvosError(
        'OUTPUT_NOT_WRITABLE',
        `there is no home folder, and ${path} cannot be used in its place`,
        'Set RVOS_HOME to a folder that you may write to.',
        { cause },
      );
    }
  }
  return path;
}
