import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { RvosError } from '../errors.js';
import { sha256 } from '../files/digest.js';
import type { Precision } from '../model/architecture.js';
import type { ModelFolder } from '../model/model-folder.js';
import type { Size } from '../preprocess/size-rule.js';
import { type EngineHost, hostDifferences, manifestLimits, sourceDifferences } from './engine-fit.js';
import { buildCommand, defaultEnginesFolder, enginePaths, modelFolderName } from './engine-folder.js';
import { type EngineManifest, readEngineManifest } from './engine-manifest.js';
import {
  type EngineLimits,
  engineGraph,
  engineLimits,
  type PlannedEngine,
  planSize,
  planTextEncoder,
  sizeLabel,
} from './engine-plan.js';
import { refusedEngines } from './engine-verification.js';
import { verifyEngineFile } from './verify-engine.js';

/** An engine whose file is what its manifest says and which fits the machine. */
export interface StoredEngine {
  readonly name: string;
  /** Absolute path of the engine file. */
  readonly path: string;
  readonly manifest: EngineManifest;
}

/** The engines of one size of the network's input. */
export interface SizeEngines {
  readonly size: Size;
  readonly short: StoredEngine;
  /** Null where windows are no longer than the temporal window. */
  readonly long: StoredEngine | null;
  readonly transformer: StoredEngine;
  /** What all of them allow. */
  readonly limits: EngineLimits;
}

export interface FindOptions {
  /** What products compute in; default fp16. */
  readonly precision?: Precision;
  readonly signal?: AbortSignal | undefined;
}

/** What was found under the name of a wanted engine in one key's folder. */
type Verdict =
  | { readonly kind: 'absent' }
  | { readonly kind: 'wrong'; readonly error: RvosError; readonly differences: number }
  | { readonly kind: 'fits'; readonly engine: StoredEngine };

/** Key folders of one model that are looked into: more than anybody builds. */
const mostKeys = 256;

/**
 * Built engines: `<root>/<model>/<key>/<name>.engine`, each with its manifest `<name>.json`. What it hands out has been
 * checked, manifest and SHA-256; nothing else of an engine is trusted, and files are found by their names alone.
 */
export class EngineStore {
  constructor(
    /** Folder `engines`. */
    readonly root: string = defaultEnginesFolder(),
  ) {}

  /** Folder that holds the key folders of a model. */
  modelFolder(model: Pick<ModelFolder, 'name'>): string {
    return join(this.root, modelFolderName(model.name));
  }

  /**
   * The engine that encodes sentences of any video. Throws `RvosError` ENGINE_MISSING; BAD_ENGINE saying what differs, if
   * there are only foreign or damaged ones; ABORTED. Errors name the command that builds it.
   */
  async findTextEncoder(
    model: ModelFolder,
    host: EngineHost,
    options: FindOptions = {},
  ): Promise<StoredEngine & { readonly limits: EngineLimits }> {
    const [engine] = await this.#find(model, [planTextEncoder()], host, options);
    return { ...engine!, limits: engineLimits(model, manifestLimits(engine!.manifest)) };
  }

  /** The engines for an input of one size; same errors. */
  async findSize(model: ModelFolder, size: Size, host: EngineHost, options: FindOptions = {}): Promise<SizeEngines> {
    const planned = planSize(model, size);
    const found = await this.#find(model, planned, host, options);
    const of = (role: PlannedEngine['role']) => found[planned.findIndex((engine) => engine.role === role)];
    const limits = found.map(({ manifest }) => manifestLimits(manifest));
    const least = (name: keyof EngineLimits) =>
      Math.min(...limits.map((each) => each[name] ?? Number.POSITIVE_INFINITY));
    return {
      size,
      short: of('backbone-short')!,
      long: of('backbone-long') ?? null,
      transformer: of('transformer')!,
      limits: { windows: least('windows'), sentences: least('sentences'), tokens: least('tokens') },
    };
  }

  /** Sizes of the network's input that a model has transformer engines for, whatever machine they fit. */
  async sizes(model: Pick<ModelFolder, 'name'>): Promise<Size[]> {
    const sizes = new Map<string, Size>();
    for (const folder of await this.keyFolders(model)) {
      for (const name of await readdir(folder).catch(() => [])) {
        const match = /^transformer-([1-9]\d{0,3})x([1-9]\d{0,3})\.json$/.exec(name);
        if (match) sizes.set(name, { height: Number(match[1]), width: Number(match[2]) });
      }
    }
    return [...sizes.values()];
  }

  /** All of the planned engines from one key's folder, the first in which all of them fit. */
  async #find(
    model: ModelFolder,
    planned: readonly PlannedEngine[],
    host: EngineHost,
    { precision = 'fp16', signal }: FindOptions,
  ): Promise<StoredEngine[]> {
    const size = planned[0]!.size;
    const command = buildCommand({ model, size, flavor: host.flavor, root: this.root });
    const hint = `Build it: ${command}`;
    const expected = planned.map((engine) => {
      return { model, planned: engine, graphSha256: sha256(engineGraph(model, engine, precision)), precision };
    });
    let nearest: { folder: string; verdicts: Verdict[]; rank: number } | undefined;
    for (const folder of await this.keyFolders(model)) {
      const verdicts = await Promise.all(expected.map((each) => judge(folder, each, host, hint)));
      const rank = verdicts.reduce((sum, verdict) => sum + closeness(verdict), 0);
      if (!nearest || rank > nearest.rank) nearest = { folder, verdicts, rank };
      const fitting = verdicts.flatMap((verdict) => (verdict.kind === 'fits' ? [verdict.engine] : []));
      if (fitting.length < planned.length) continue;
      return Promise.all(fitting.map((engine) => verified(engine, hint, signal)));
    }
    const wrong = nearest?.verdicts.find((verdict) => verdict.kind === 'wrong');
    if (wrong) throw wrong.error;
    const absent = planned.filter((_, i) => nearest?.verdicts[i]?.kind !== 'fits').map(({ name }) => name);
    const what = size ? `for ${sizeLabel(size)} ` : '';
    throw new RvosError(
      'ENGINE_MISSING',
      `there is no TensorRT engine of ${model.name} ${what}in ${this.root}: ${absent.join(', ')}`,
      `${hint}, or give --build`,
    );
  }

  /** Folders of the keys that a model has engines for, sorted; none if there are none. */
  async keyFolders(model: Pick<ModelFolder, 'name'>): Promise<string[]> {
    const folder = this.modelFolder(model);
    const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
    const names = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith('.')).map(({ name }) => name);
    // Engines of the GPU itself (`…-sm90-nvidia-h200`) come before those built ahead of time for several.
    const aheadOfTime = (name: string) => (/(-sm\d+)+(-fp32)?$/.test(name) ? 1 : 0);
    names.sort((a, b) => aheadOfTime(a) - aheadOfTime(b) || (a < b ? -1 : 1));
    return names.slice(0, mostKeys).map((name) => join(folder, name));
  }
}

function closeness(verdict: Verdict): number {
  if (verdict.kind === 'fits') return 100;
  if (verdict.kind === 'absent') return 0;
  return Math.max(1, 50 - verdict.differences);
}

async function judge(
  folder: string,
  expected: Parameters<typeof sourceDifferences>[1],
  host: EngineHost,
  hint: string,
): Promise<Verdict> {
  const { name } = expected.planned;
  const { engine: path, manifest: manifestPath } = enginePaths(folder, name);
  let manifest: EngineManifest;
  try {
    manifest = await readEngineManifest(manifestPath, hint);
  } catch (error) {
    if (!(error instanceof RvosError)) throw error;
    return error.code === 'NOT_FOUND' ? { kind: 'absent' } : { kind: 'wrong', error, differences: 1 };
  }
  const differences = [...hostDifferences(manifest, host), ...sourceDifferences(manifest, expected)];
  if (differences.length === 0) {
    const { verified } = manifest;
    if (verified?.state !== 'refused') return { kind: 'fits', engine: { name, path, manifest } };
    return { kind: 'wrong', error: refusedEngines(path, verified, hint.replace(/^Build it: /, '')), differences: 1 };
  }
  const error = new RvosError('BAD_ENGINE', `${path} does not fit: ${differences.join('; ')}`, hint);
  return { kind: 'wrong', error, differences: differences.length };
}

/** Another process may be putting a new engine in its place: then the manifest is new a moment later. */
async function verified(engine: StoredEngine, hint: string, signal?: AbortSignal): Promise<StoredEngine> {
  try {
    await verifyEngineFile(engine.path, engine.manifest.file, hint, signal);
    return engine;
  } catch (error) {
    if (!(error instanceof RvosError) || error.code !== 'BAD_ENGINE') throw error;
    await new Promise((resolve) => setTimeout(resolve, 200));
    const manifest = await readEngineManifest(engine.path.replace(/\.engine$/, '.json'), hint);
    if (manifest.file.sha256 === engine.manifest.file.sha256) throw error;
    const { file: _, build: __, verified: ___, ...before } = engine.manifest;
    const { file, build: ____, verified: _____, ...now } = manifest;
    if (!isDeepStrictEqual(before, now)) throw error;
    await verifyEngineFile(engine.path, file, hint, signal);
    return { ...engine, manifest };
  }
}
