import { createRequire } from 'node:module';
import { RvosError } from '../errors.js';
import { remedies } from '../installation.js';

type Sharp = typeof import('sharp').default;

let library: Sharp | undefined;

/**
 * sharp, loaded at the first picture: its library takes time, and an installation that lacks it can still say so. Throws
 * `RvosError` ADDON_MISSING where it does not load.
 */
export const sharp = ((...args: Parameters<Sharp>) => {
  library ??= load();
  return library(...args);
}) as Sharp;

function load(): Sharp {
  try {
    return createRequire(import.meta.url)('sharp') as Sharp;
  } catch (cause) {
    const [line = 'unknown reason'] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new RvosError('ADDON_MISSING', `sharp, which writes and reads pictures: ${line}`, remedies.reinstall, {
      cause,
    });
  }
}
