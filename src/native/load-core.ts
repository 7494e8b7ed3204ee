import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { RvosError } from '../errors.js';
import { hasPublished, installCommand, isClone, ownPackage, remedies } from '../installation.js';
import { packageVersion } from '../package-root.js';
import { compiledFolder } from './compiled-folder.js';
import type { CoreAddon } from './core-addon.js';
import { platformName, platformPackage } from './platform-packages.js';

let loaded: CoreAddon | undefined;

/**
 * The native CPU core, loaded when first asked for: in a clone its own build (`build/Release`), in an installed package
 * what `rvos setup addon` compiled, else the platform package (`rvos-core-<platform>`). Throws `RvosError` ADDON_MISSING
 * when there is none, or when it does not load.
 */
export function loadCore(): CoreAddon {
  loaded ??= load();
  return loaded;
}

function load(): CoreAddon {
  const own = join(compiledFolder(), 'Release', 'rvos_core.node');
  if (existsSync(own)) return loadFile(own);
  const brought = isClone ? undefined : platformPackage('core');
  if (brought?.folder !== undefined) return loadFile(join(brought.folder, 'rvos_core.node'));
  const why = brought?.problem ?? 'it is not built';
  const remedy =
    brought && hasPublished(brought.name)
      ? `Install it with "${installCommand(ownPackage(brought.name))}", or c${remedies.core.slice(1)}`
      : remedies.core;
  throw new RvosError('ADDON_MISSING', `there is no native core for ${platformName()}: ${why}`, remedy);
}

function loadFile(file: string): CoreAddon {
  try {
    const addon = createRequire(import.meta.url)(file) as CoreAddon;
    if (addon.version === packageVersion()) return addon;
    throw new Error(`it is of version ${addon.version}, and rvos of ${packageVersion()}`);
  } catch (cause) {
    throw new RvosError(
      'ADDON_MISSING',
      `the native core cannot be loaded from ${file}: ${firstLine(cause)}`,
      remedies.core,
      { cause },
    );
  }
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '';
}
