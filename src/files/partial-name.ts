import { randomBytes } from 'node:crypto';
import { lstat, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { mayBeAlive, processLabel } from '../cache/live-process.js';

/** What is being written (`partial`), or stands aside while something takes its place (`old`). */
type Suffix = 'partial' | 'old';

/** Bytes of a name that leave room, of 255, for what comes with it. */
const shownBytes = 135;

/**
 * A name beside `target` that listings hide and that says whose it is: `.<name>.<process>.<random>.<suffix>`. Long names are
 * cut so that the rest still fits.
 */
export function besideTarget(target: string, suffix: Suffix): string {
  // Dots of the host's name would blur where the name ends.
  const owner = processLabel().replaceAll('.', '~');
  return join(dirname(target), `.${shownName(target)}.${owner}.${randomBytes(4).toString('hex')}.${suffix}`);
}

function shownName(target: string): string {
  const bytes = Buffer.from(basename(target)).subarray(0, shownBytes);
  return bytes.toString('utf8').replace(/\uFFFD+$/, '');
}

/**
 * Removes what processes that are no more (killed, or the machine went down) left half-written in a folder for outputs whose
 * names `isMeant`. What cannot be removed stays.
 */
export async function sweepPartials(folder: string, isMeant: (name: string) => boolean): Promise<void> {
  for (const left of await leftIn(folder)) {
    if (left.suffix === 'partial' && isMeant(left.name))
      await rm(left.path, { recursive: true }).catch(() => undefined);
  }
}

/** The same for one output that is to be written; an earlier one that stood aside for it is put back, or goes if it was replaced. */
export async function sweepBeside(target: string): Promise<void> {
  for (const { name, path, suffix } of await leftIn(dirname(target))) {
    if (name !== shownName(target)) continue;
    const isNeeded = suffix === 'old' && (await lstat(target).catch(() => undefined)) === undefined;
    await (isNeeded ? rename(path, target) : rm(path, { recursive: true })).catch(() => undefined);
  }
}

interface Left {
  readonly name: string;
  readonly path: string;
  readonly suffix: Suffix;
}

const pattern = /^\.(.+)\.([A-Za-z0-9~_-]+_\d+_\d*)\.[0-9a-f]{8}\.(partial|old)$/s;

async function leftIn(folder: string): Promise<Left[]> {
  const left: Left[] = [];
  for (const entry of await readdir(folder).catch(() => [])) {
    const [, name, owner, suffix] = pattern.exec(entry) ?? [];
    if (name === undefined || owner === undefined) continue;
    const path = join(folder, entry);
    const found = await lstat(path).catch(() => undefined);
    if (!found || mayBeAlive(owner.replaceAll('~', '.'), Date.now() - found.mtimeMs)) continue;
    left.push({ name, path, suffix: suffix as Suffix });
  }
  return left;
}
