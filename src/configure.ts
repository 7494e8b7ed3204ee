import { parseByteSize } from './byte-size.js';
import { cacheSettings } from './cache/cache-settings.js';
import { RvosError } from './errors.js';
import { frameMemory } from './scheduling/frame-memory.js';

/** Settings of a whole process; what is left out stays as it is. */
export interface Settings {
  /** Folder of models, graphs and whatever else rvos keeps; default `$RVOS_HOME`, else `$XDG_CACHE_HOME/rvos`, else `~/.cache/rvos`. */
  readonly cacheFolder?: string;
  /**
   * Most bytes that the cache may hold beside `models/` and `kit/`, as a number or as `4GB` (10^9), `4GiB` (2^30); default
   * `$RVOS_CACHE_BYTES`, else 4 GB. What was not used for the longest time goes first; what is open stays.
   */
  readonly cacheBytes?: number | string;
  /**
   * Most bytes of decoded frames that all streams of the process hold, as a number or as `512MB` (10^6), `512MiB` (2^20);
   * default 512 MB. One window of one stream always fits, whatever its size; where all streams wait for their readers, one
   * more is let in.
   */
  readonly maxFrameMemory?: number | string;
  /** Decoders at a time, at least 1; default 4. Streams that wait for their readers do not count. */
  readonly maxDecoders?: number;
}

/** Sets what holds for the whole process. Throws `RvosError` BAD_ARGUMENT; nothing is set then. */
export function configure(settings: Settings): void {
  const { cacheFolder, cacheBytes, maxFrameMemory, maxDecoders } = settings;
  if (cacheFolder !== undefined && (typeof cacheFolder !== 'string' || cacheFolder === '')) {
    throw new RvosError('BAD_ARGUMENT', 'cacheFolder is no path of a folder', 'Give a path, or leave it out.');
  }
  const bytes = cacheBytes === undefined ? undefined : parseByteSize(cacheBytes, 'cacheBytes');
  const frameBytes = maxFrameMemory === undefined ? undefined : parseByteSize(maxFrameMemory, 'maxFrameMemory');
  if (maxDecoders !== undefined && !(Number.isInteger(maxDecoders) && maxDecoders >= 1)) {
    throw new RvosError('BAD_ARGUMENT', `maxDecoders ${maxDecoders} is no number of decoders`, 'Give at least 1.');
  }
  if (frameBytes !== undefined) frameMemory.limits.maxFrameMemory = frameBytes;
  if (maxDecoders !== undefined) frameMemory.limits.maxDecoders = maxDecoders;
  if (cacheFolder !== undefined) cacheSettings.folder = cacheFolder;
  if (bytes !== undefined) cacheSettings.bytes = bytes;
}
