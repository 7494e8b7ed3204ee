import { join } from 'node:path';
import { cacheRoom } from '../cache/cache-folder.js';
import { isClone } from '../installation.js';
import { packageRoot, packageVersion } from '../package-root.js';
import { platformName } from './platform-packages.js';

/** The kit of the cache folder: compilers, libraries and headers that `rvos setup` fetched. */
export function kitFolder(): string {
  return cacheRoom('kit');
}

/**
 * Where native parts that are compiled on this machine lie: `build/` of a clone, a folder in the kit for an installed
 * package. Versions and platforms that share a cache folder, as in a home that several machines mount, do not meet there.
 */
export function compiledFolder(): string {
  if (isClone) return join(packageRoot, 'build');
  return join(kitFolder(), `rvos-${packageVersion()}-${platformName()}`);
}
