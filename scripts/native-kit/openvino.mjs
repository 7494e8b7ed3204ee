// OpenVINO for the CPU backend, in the kit.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { kitOpenVino } from './kit.mjs';
import { openVino } from './packages.mjs';

/**
 * Fetches it unless it is there; resolves to its folder, whose `lib` holds libopenvino_c. Options: `find` (only say where it
 * would be), `yes`, `progress` takes lines, `signal` ends it. Throws SetupError.
 */
export async function ensureOpenVino({ find = false, yes = false, progress = () => undefined, signal } = {}) {
  return kitOpenVino({ dry: find, yes, progress, signal });
}

/** The same, said in words. */
export async function setUpOpenVino({ progress, ...options }) {
  const folder = await ensureOpenVino({ progress, ...options });
  const absent = existsSync(join(folder, 'lib')) ? '' : ', to be fetched';
  progress(`OpenVINO ${openVino.version}: ${folder}${absent}`);
}
