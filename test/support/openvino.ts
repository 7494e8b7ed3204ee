import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { findOpenVino } from '../../src/backends/cpu/find-openvino.js';

/** OpenVINO's C library for tests; fetched into the kit, as a user would, if it is not on this machine. */
export function openVinoLibrary(): string {
  try {
    return findOpenVino().library;
  } catch {
    const script = join(import.meta.dirname, '../../scripts/setup-native.mjs');
    const run = spawnSync(process.execPath, [script, '--openvino'], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(run.stderr);
    return findOpenVino().library;
  }
}
