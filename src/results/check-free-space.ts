import { stat, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, resolve } from 'node:path';
import { formatRoughly } from '../byte-size.js';
import { RvosError } from '../errors.js';
import type { OutputExtent, PlannedOutput } from './planned-output.js';

/** Below this part of the estimate, which is rough, the outputs cannot fit. */
const hopeless = 0.1;

/** A place where outputs go: bytes that are free there, and a name that is the same for all folders of one file system. */
export interface Disk {
  readonly name: string | number;
  readonly free: number;
}

/**
 * Compares what outputs are likely to take with what is free where they go. Resolves with a warning where it may not be enough;
 * throws DISK_FULL where it cannot be.
 */
export async function checkFreeSpace(
  outputs: readonly Pick<PlannedOutput, 'path' | 'bytes'>[],
  extent: OutputExtent,
  diskOf: (folder: string) => Promise<Disk | undefined> = diskOfFolder,
): Promise<string[]> {
  const disks = new Map<string | number, { readonly folder: string; readonly free: number; needed: number }>();
  const need = async (folder: string, bytes: number) => {
    const disk = bytes > 0 ? await diskOf(folder) : undefined;
    if (!disk) return;
    const known = disks.get(disk.name);
    if (known) known.needed += bytes;
    else disks.set(disk.name, { folder, free: disk.free, needed: bytes });
  };
  for (const { path, bytes } of outputs) {
    const { output, temporary = 0 } = bytes(extent);
    await need(dirname(resolve(path)), output);
    await need(tmpdir(), temporary);
  }
  const warnings: string[] = [];
  for (const { folder, free, needed } of disks.values()) {
    if (free >= needed) continue;
    const what = `the outputs need about ${formatRoughly(needed)} in ${folder}, where ${formatRoughly(free)} are free`;
    if (free < hopeless * needed) throw new RvosError('DISK_FULL', what, 'Free some space or choose another disk.');
    warnings.push(`${what}: it may not be enough`);
  }
  return warnings;
}

async function diskOfFolder(folder: string): Promise<Disk | undefined> {
  try {
    const [{ dev }, { bavail, bsize, blocks }] = await Promise.all([stat(folder), statfs(folder)]);
    // A file system that does not count its space says 0 of 0.
    return blocks === 0 ? undefined : { name: dev, free: bavail * bsize };
  } catch {
    // What cannot be asked is found out by writing.
    return undefined;
  }
}
