import { readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { cacheRoom } from '../cache/cache-folder.js';
import { RvosError } from '../errors.js';
import { descriptionFile } from '../model/model-description.js';
import { knownModels } from './known-models.js';

/** Beside `model.json`: where a pulled model came from. */
export const pullRecordFile = 'pulled.json';

/** What the file holds. */
export interface PullRecord {
  readonly source: string;
  readonly licence: string;
  /** When, ISO 8601. */
  readonly pulled: string;
  /** What was downloaded: where it lay in its source, size, SHA-256 in hexadecimal. */
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

/** @internal */
export const pullRecord: z.ZodType<PullRecord> = z.object({
  source: z.string(),
  licence: z.string(),
  pulled: z.string(),
  files: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
});

/** A model in the cache's `models/`. */
export interface PulledModel {
  readonly name: string;
  readonly path: string;
  readonly bytes: number;
  /** Undefined for one that something else than `pull` put there. */
  readonly record: PullRecord | undefined;
}

const plainName = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/** Folder of a model of the cache by its name; undefined if it is not there. */
export async function findPulledModel(name: string, cacheFolder?: string): Promise<string | undefined> {
  if (!plainName.test(name)) return undefined;
  const path = join(cacheRoom('models', cacheFolder), name);
  return (await isFile(join(path, descriptionFile))) ? path : undefined;
}

/** All models of the cache, by name. */
export async function pulledModels(cacheFolder?: string): Promise<PulledModel[]> {
  const folder = cacheRoom('models', cacheFolder);
  const found: PulledModel[] = [];
  for (const name of (await readdir(folder).catch(() => [])).sort()) {
    const path = await findPulledModel(name, cacheFolder);
    if (path) found.push({ name, path, bytes: await folderBytes(path), record: await readRecord(path) });
  }
  return found;
}

/** Removes a model from the cache. Throws `RvosError` NOT_FOUND. */
export async function removePulledModel(name: string, cacheFolder?: string): Promise<{ path: string; bytes: number }> {
  const path = await findPulledModel(name, cacheFolder);
  if (!path) throw notPulled(name);
  const bytes = await folderBytes(path);
  // Gone in one step: nobody opens half a model.
  const aside = join(cacheRoom('models', cacheFolder), `.removed-${process.pid}-${name}`);
  await rename(path, aside);
  await rm(aside, { recursive: true, force: true });
  return { path, bytes };
}

/** The error for a name that no model of this machine has: it says how to get it, or which there are. */
export function notPulled(name: string): RvosError {
  if (knownModels.some((model) => model.name === name)) {
    return new RvosError('NOT_FOUND', `model ${name} is not on this machine yet`, `Fetch it: rvos pull ${name}`);
  }
  return new UnknownModelError(
    'NOT_FOUND',
    `no model ${name}`,
    `Known are compact, ${knownModels.map((model) => model.name).join(', ')} (rvos pull NAME), and folders that rvos import made.`,
  );
}

/** A bare name that is in no list: wrong usage. */
export class UnknownModelError extends RvosError {}

async function readRecord(path: string): Promise<PullRecord | undefined> {
  try {
    return pullRecord.parse(JSON.parse(await readFile(join(path, pullRecordFile), 'utf8')));
  } catch {
    return undefined;
  }
}

async function folderBytes(path: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}
