import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CacheEntry, openCacheEntry } from '../../cache/cache-entry.js';
import { cacheSettings } from '../../cache/cache-settings.js';
import { sha256 } from '../../files/digest.js';
import { besideTarget, sweepPartials } from '../../files/partial-name.js';
import type { OpenVinoLibrary, OpenVinoModel } from '../../native/openvino-library.js';
import { processor } from './processor.js';
import type { RuntimeSettings, Shapes } from './runtime.js';

const blobFile = 'model.blob';
const sumFile = 'model.sha256';

export interface CompileJob {
  readonly shapes: Shapes;
  readonly properties: Readonly<Record<string, string>>;
  readonly compile: () => Promise<OpenVinoModel>;
}

/**
 * Compiled models in the room `openvino` of the cache, each in a folder whose name is a hash of all that it depends on:
 * graph, weights, sizes, precision, threads, OpenVINO's version, processor. A file whose hash is not the one beside it is
 * never given to OpenVINO, but removed. A cache that cannot be written to costs time, and nothing else.
 */
export class ModelCache {
  constructor(
    private readonly library: OpenVinoLibrary,
    private readonly settings: Pick<RuntimeSettings, 'threads' | 'cache'>,
  ) {}

  async open(graph: string, job: CompileJob): Promise<OpenVinoModel> {
    const { cache } = this.settings;
    if (!cache) return job.compile();
    // This process is a child: what `configure` said to its parent comes with the settings.
    cacheSettings.bytes = cache.bytes;
    let entry: CacheEntry;
    try {
      entry = await openCacheEntry('openvino', await this.#key(graph, job), cache.folder);
    } catch {
      return job.compile();
    }
    try {
      const stored = await this.#stored(entry.path, job.properties);
      if (stored) return stored;
      const model = await job.compile();
      await keep(model, entry).catch(() => undefined);
      return model;
    } finally {
      await entry.release().catch(() => undefined);
    }
  }

  async #key(graph: string, { shapes, properties }: CompileJob): Promise<string> {
    const { version } = this.library;
    const { cache, threads } = this.settings;
    const facts = [sha256(await readFile(graph)), cache?.weights, version, processor(), threads];
    return sha256(JSON.stringify([...facts, shapes, properties])).slice(0, 32);
  }

  async #stored(folder: string, properties: CompileJob['properties']): Promise<OpenVinoModel | undefined> {
    const blob = await readFile(join(folder, blobFile)).catch(() => undefined);
    if (!blob) return undefined;
    const expected = await readFile(join(folder, sumFile), 'utf8').catch(() => '');
    if (sha256(blob) === expected) {
      const model = await this.library.importModel(blob, properties).catch(() => undefined);
      if (model) return model;
    }
    await rm(join(folder, blobFile), { force: true }).catch(() => undefined);
    return undefined;
  }
}

/** Sum first, blob last: a blob that is there is whole, or its sum tells. */
async function keep(model: OpenVinoModel, entry: CacheEntry): Promise<void> {
  await sweepPartials(entry.path, (name) => name === blobFile || name === sumFile);
  const temporary = besideTarget(join(entry.path, blobFile), 'partial');
  const sumTemporary = besideTarget(join(entry.path, sumFile), 'partial');
  try {
    await model.exportTo(temporary);
    const sum = sha256(await readFile(temporary));
    await writeFile(sumTemporary, sum);
    await rename(sumTemporary, join(entry.path, sumFile));
    await rename(temporary, join(entry.path, blobFile));
  } finally {
    await rm(temporary, { force: true });
    await rm(sumTemporary, { force: true });
  }
  await entry.written();
}
