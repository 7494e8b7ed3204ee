// Where the kit lies and where what is compiled goes. In a clone: its own folders .kit/ and build/. `rvos setup` of an
// installed package, which may be read-only, names folders of the cache in RVOS_KIT and RVOS_COMPILED before it imports
// these modules.
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { root } from '../run.mjs';

/** Whether these modules lie in an installed package: its users have no npm scripts of rvos. */
export const isInstalled = !existsSync(join(root, 'src'));

export const kitFolder = resolve(process.env.RVOS_KIT || join(root, '.kit'));

export const compiledFolder = resolve(process.env.RVOS_COMPILED || join(root, 'build'));

/** A compiled file's name as messages show it. */
export function shown(file) {
  return isInstalled ? file : relative(root, file);
}
