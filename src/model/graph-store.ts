import { constants } from 'node:fs';
import { copyFile, link, lstat, readFile, realpath, rename, rm } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { type CacheEntry, openCacheEntry } from '../cache/cache-entry.js';
import { RvosError } from '../errors.js';
import { writeFileAtomic } from '../files/atomic-output.js';
import { sha256, sha256OfFile } from '../files/digest.js';
import { toOutputError } from '../files/output-error.js';
import { besideTarget, sweepPartials } from '../files/partial-name.js';
import type { StageName } from './architecture.js';
import type { ClipSize, FrameSize } from './clip-size.js';
import { weightsFile } from './model-description.js';
import type { Target } from './target.js';

/** Makes the graph of a stage; the text encoder's does not depend on the clip's size. */
export type BuildGraph = (stage: StageName, clip: ClipSize | FrameSize | undefined, target: Target) => Uint8Array;

/** The weights that the graphs of a store refer to. */
export interface StoredWeights {
  /** Folder that holds `weights.bin`. */
  readonly folder: string;
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * ONNX graphs as files beside the `weights.bin` they refer to. A graph's name carries a hash of its contents, and a
 * file found under that name is compared before it is used: stale, damaged or foreign graphs are never run. ONNX Runtime
 * refuses weights outside a graph's folder and symbolic links, so where the model's folder cannot be written to, or is an
 * installed package's, graphs go to a folder of the cache that holds a hard link to the weights, or else a copy. It stays
 * open until the process ends, since nobody says when a graph is needed no more.
 */
export class GraphStore {
  readonly #paths = new Map<string, Promise<string>>();
  #entry: Promise<CacheEntry> | undefined;

  constructor(
    private readonly weights: StoredWeights,
    private readonly build: BuildGraph,
    /** Root of the cache; default that of the process. */
    private readonly cacheFolder?: string,
  ) {}

  /**
   * Path of a stage's graph, written when it is first asked for.
   * Throws `RvosError` OUTPUT_NOT_WRITABLE or DISK_FULL if there is no place for it.
   */
  path(stage: StageName, clip?: ClipSize | FrameSize, target: Target = 'onnxruntime'): Promise<string> {
    const key = `${target} ${graphLabel(stage, clip)}`;
    const known = this.#paths.get(key);
    if (known) return known;
    const path = this.#write(stage, clip, target);
    this.#paths.set(key, path);
    // A failure, as of a full disk, may be over the next time.
    path.catch(() => this.#paths.delete(key));
    return path;
  }

  async #write(stage: StageName, clip: ClipSize | FrameSize | undefined, target: Target): Promise<string> {
    const bytes = this.build(stage, clip, target);
    const name = graphFileName(stage, clip, bytes);
    const { folder } = this.weights;
    await sweepOnce(folder);
    if (!(await lstat(join(folder, weightsFile))).isSymbolicLink()) {
      if (await isThere(join(folder, name), bytes)) return join(folder, name);
      try {
        // What an installer put there is the installer's: it checks it, shares it, and removes it.
        if (!folder.split(sep).includes('node_modules')) return await place(folder, name, bytes);
      } catch (error) {
        if (!(error instanceof RvosError) || error.code !== 'OUTPUT_NOT_WRITABLE') throw error;
      }
    }
    this.#entry ??= openWithWeights(this.weights, this.cacheFolder);
    try {
      const entry = await this.#entry;
      await sweepOnce(entry.path);
      const path = await place(entry.path, name, bytes);
      await entry.written();
      return path;
    } catch (error) {
      this.#entry = undefined;
      throw error;
    }
  }
}

/** `backbone-T24-360x640`, `transformer-360x640`, `text-encoder`. */
function graphLabel(stage: StageName, clip?: ClipSize | FrameSize): string {
  if (!clip) return stage;
  const frames = 'frames' in clip ? `-T${clip.frames}` : '';
  return `${stage}${frames}-${clip.height}x${clip.width}`;
}

/** The same graph has the same name everywhere. */
export function graphFileName(stage: StageName, clip: ClipSize | FrameSize | undefined, bytes: Uint8Array): string {
  return `${graphLabel(stage, clip)}-${sha256(bytes).slice(0, 8)}.onnx`;
}

export function isGraphFileName(name: string): boolean {
  return /^(backbone|text-encoder|transformer)[A-Za-z0-9-]*-[0-9a-f]{8}\.onnx$/.test(name);
}

/** Writes the file unless it is there with just these bytes. */
async function place(folder: string, name: string, bytes: Uint8Array): Promise<string> {
  const path = join(folder, name);
  // Somebody else may write the same file at the same moment: then both rename the same bytes into place.
  if (!(await isThere(path, bytes))) await writeFileAtomic(path, bytes, { force: true });
  return path;
}

const swept = new Set<string>();

/** Graphs of other sizes may never be written again: what a killed process left of them goes when this one first needs a graph. */
async function sweepOnce(folder: string): Promise<void> {
  if (swept.has(folder)) return;
  swept.add(folder);
  await sweepPartials(folder, (name) => isGraphFileName(name) || name === weightsFile);
}

async function isThere(path: string, bytes: Uint8Array): Promise<boolean> {
  return (await readFile(path).catch(() => undefined))?.equals(bytes) ?? false;
}

/** `graphs/<SHA-256 of the weights>` of the cache, with verified weights in it. */
async function openWithWeights(weights: StoredWeights, cacheFolder?: string): Promise<CacheEntry> {
  const entry = await openCacheEntry('graphs', weights.sha256, cacheFolder);
  const target = join(entry.path, weightsFile);
  try {
    const source = await realpath(join(weights.folder, weightsFile));
    if (!(await isSameFile(source, target)) && !(await holds(target, weights))) await bring(source, target, weights);
    return entry;
  } catch (error) {
    await entry.release();
    throw toOutputError(error, target);
  }
}

async function bring(source: string, target: string, weights: StoredWeights): Promise<void> {
  const temporary = besideTarget(target, 'partial');
  try {
    try {
      await link(source, temporary);
    } catch {
      // Another disk, or a file of another owner.
      await copyFile(source, temporary, constants.COPYFILE_FICLONE);
    }
    if (!(await holds(temporary, weights))) {
      throw new RvosError(
        'BAD_MODEL_FOLDER',
        `${join(weights.folder, weightsFile)} changed while it was in use`,
        'Open the model again.',
      );
    }
    await rename(temporary, target);
  } finally {
    await rm(temporary, { force: true });
  }
}

async function holds(path: string, { bytes, sha256: expected }: StoredWeights): Promise<boolean> {
  const found = await lstat(path).catch(() => undefined);
  return found?.isFile() === true && found.size === bytes && (await sha256OfFile(path)) === expected;
}

async function isSameFile(a: string, b: string): Promise<boolean> {
  const [x, y] = await Promise.all([lstat(a), lstat(b).catch(() => undefined)]);
  return y?.isFile() === true && x.ino !== 0 && x.ino === y.ino && x.dev === y.dev;
}
