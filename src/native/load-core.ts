import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { RvosError } from '../errors.js';
import type { CoreAddon } from './core-addon.js';

let loaded: CoreAddon | undefined;

/**
 * The native CPU core, loaded when first asked for: the own build (`build/Release`), else the prebuilt binary of this
 * platform (`prebuilds/`). Throws `RvosError` ADDON_MISSING when there is neither, or when it does not load.
 */
export function loadCore(): CoreAddon {
  loaded ??= load(packageRoot());
  return loaded;
}

/** The nearest folder above this module whose package.json is this package's: the same from `src/` and from `dist/`. */
function packageRoot(): string {
  const here = dirname(fileURLToPath(import.meta.url));
  for (let folder = here; dirname(folder) !== folder; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file) && (JSON.parse(readFileSync(file, 'utf8')) as { name?: string }).name === 'rvos')
      return folder;
  }
  return here;
}

function load(root: string): CoreAddon {
  const require = createRequire(import.meta.url);
  const nodeGypBuild = require('node-gyp-build') as (folder: string) => CoreAddon;
  try {
    return nodeGypBuild(root);
  } catch (cause) {
    const absent = cause instanceof Error && cause.message.startsWith('No native build was found');
    const reason = absent ? `none for ${process.platform}-${process.arch}` : firstLine(cause);
    throw new RvosError(
      'ADDON_MISSING',
      `the native addon cannot be loaded from ${root}: ${reason}`,
      'Build it with "npm run build:native"; it needs a C++ compiler and CMake (apt-get install -y build-essential cmake).',
      { cause },
    );
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
