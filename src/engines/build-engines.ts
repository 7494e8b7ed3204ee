import { rename, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { RvosError, throwIfAborted } from '../errors.js';
import { sha256, sha256OfFile } from '../files/digest.js';
import { withFolderLock } from '../files/folder-lock.js';
import { makeFolder } from '../files/make-folder.js';
import { toOutputError } from '../files/output-error.js';
import type { Precision } from '../model/architecture.js';
import type { ModelFolder } from '../model/model-folder.js';
import type { BuildProgress, EngineBuildReport, TensorRtAddon } from '../native/tensorrt-addon.js';
import { toRvosError } from '../native/tensorrt-errors.js';
import { packageVersion } from '../package-root.js';
import type { Size } from '../preprocess/size-rule.js';
import { BuildFolder } from './build-folder.js';
import { sourceDifferences } from './engine-fit.js';
import {
  defaultEnginesFolder,
  type EngineTarget,
  engineKey,
  enginePaths,
  manifestTarget,
  modelFolderName,
} from './engine-folder.js';
import {
  type EngineManifest,
  engineManifestSchema,
  manifestFormat,
  manifestVersion,
  readEngineManifest,
} from './engine-manifest.js';
import {
  type EngineLimits,
  engineGraph,
  engineLimits,
  type PlannedEngine,
  planProfiles,
  planSize,
  planTextEncoder,
} from './engine-plan.js';
import type { StoredEngine } from './engine-store.js';
import { verifyEngineFile } from './verify-engine.js';

/** A loaded TensorRT that builds. */
export interface EngineBuilder {
  readonly addon: Pick<TensorRtAddon, 'flavor' | 'buildEngine'>;
  /** Full version of the library, as the addon's `load` gave it. */
  readonly libraryVersion: string;
}

export interface BuildEnginesOptions {
  readonly model: ModelFolder;
  /** Sizes of the network's input; each gets its backbones and transformer. */
  readonly sizes: readonly Size[];
  readonly builder: EngineBuilder;
  readonly target: EngineTarget;
  readonly limits?: Partial<EngineLimits>;
  /** What products compute in; default fp16. */
  readonly precision?: Precision;
  /** Folder `engines`. */
  readonly root?: string | undefined;
  /** Build engines anew that are there and unchanged. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (progress: EngineBuildProgress) => void;
}

export interface EngineBuildProgress extends BuildProgress {
  /** Name of the engine that is being built; its number, from 1, among those that had to be built. */
  readonly engine: string;
  readonly number: number;
  readonly count: number;
  /** Since its build began. */
  readonly seconds: number;
}

export interface BuiltEngine extends StoredEngine {
  /** It was there, unchanged: nothing was built. */
  readonly reused: boolean;
}

export interface BuiltEngines {
  /** The key's folder, that holds all of them. */
  readonly folder: string;
  readonly key: string;
  readonly engines: readonly BuiltEngine[];
}

/** An engine that is wanted, with all that its manifest will say of it before it is built. */
interface WantedEngine {
  readonly planned: PlannedEngine;
  readonly graph: Uint8Array;
  readonly description: Omit<EngineManifest, 'tensors' | 'build' | 'file' | 'verified'>;
}

/**
 * Builds the engines of a model: the text encoder, and those of each size. One that is there and would come out of the same
 * graph, library, target and profiles is kept. Each appears with its manifest when it is complete; other processes
 * may build the same at the same time. Throws `RvosError` BAD_ARGUMENT (limits, sizes, target), ENGINE_BUILD_FAILED,
 * OUT_OF_MEMORY, DISK_FULL, OUTPUT_NOT_WRITABLE, ABORTED (within 2 s of the signal; what is complete stays).
 */
export async function buildEngines(options: BuildEnginesOptions): Promise<BuiltEngines> {
  const { model, builder, target, precision = 'fp16', root = defaultEnginesFolder(), signal } = options;
  const library = { flavor: builder.addon.flavor, version: builder.libraryVersion };
  const key = engineKey(library, target, precision);
  const folder = join(root, modelFolderName(model.name), key);
  const wanted = wantedEngines(options, library, precision);

  const kept = new Map<string, BuiltEngine>();
  for (const engine of options.force ? [] : wanted) {
    throwIfAborted(signal);
    const found = await unchanged(folder, model, engine, signal);
    if (found) kept.set(found.name, found);
  }
  const missing = wanted.filter(({ planned }) => !kept.has(planned.name));
  if (missing.length > 0) {
    await using work = await BuildFolder.create(folder, model);
    const timingCache = join(root, '.timing', `${key}.cache`);
    await makeFolder(dirname(timingCache));
    for (const [i, engine] of missing.entries()) {
      throwIfAborted(signal);
      const began = performance.now();
      const onProgress = (progress: BuildProgress) =>
        options.onProgress?.({
          ...progress,
          engine: engine.planned.name,
          number: i + 1,
          count: missing.length,
          seconds: (performance.now() - began) / 1000,
        });
      const manifest = await build(engine, { builder, target, work: work.path, timingCache, signal, onProgress });
      await publish(work.path, folder, engine.planned.name);
      const { name } = engine.planned;
      kept.set(name, { name, path: enginePaths(folder, name).engine, manifest, reused: false });
    }
  }
  return { folder, key, engines: wanted.map(({ planned }) => kept.get(planned.name)!) };
}

function wantedEngines(
  { model, sizes, target, limits: wantedLimits }: BuildEnginesOptions,
  library: EngineManifest['tensorrt'],
  precision: Precision,
): WantedEngine[] {
  const limits = engineLimits(model, wantedLimits);
  const planned = new Map(
    [planTextEncoder(), ...sizes.flatMap((size) => planSize(model, size))].map((e) => [e.name, e]),
  );
  return [...planned.values()].map((engine) => {
    const graph = engineGraph(model, engine, precision);
    const description = {
      format: manifestFormat,
      version: manifestVersion,
      engine: engine.name,
      stage: engine.stage,
      model: { name: model.name, weights_sha256: model.weightsSha256 },
      graph_sha256: sha256(graph),
      rvos: packageVersion(),
      tensorrt: library,
      target: manifestTarget(target),
      precision,
      profiles: planProfiles(model, engine, limits) as EngineManifest['profiles'],
    } as const;
    return { planned: engine, graph, description };
  });
}

/** The engine that is there already, if building it again would change nothing. */
async function unchanged(
  folder: string,
  model: ModelFolder,
  { planned, description }: WantedEngine,
  signal: AbortSignal | undefined,
): Promise<BuiltEngine | undefined> {
  const paths = enginePaths(folder, planned.name);
  try {
    const manifest = await readEngineManifest(paths.manifest, '');
    const expected = { model, planned, graphSha256: description.graph_sha256, precision: description.precision };
    const same = (name: 'tensorrt' | 'target' | 'profiles') => isDeepStrictEqual(manifest[name], description[name]);
    if (!same('tensorrt') || !same('target') || !same('profiles')) return undefined;
    if (sourceDifferences(manifest, expected).length > 0) return undefined;
    await verifyEngineFile(paths.engine, manifest.file, '', signal);
    return { name: planned.name, path: paths.engine, manifest, reused: true };
  } catch (error) {
    // Absent or damaged: it is built.
    if (error instanceof RvosError && (error.code === 'NOT_FOUND' || error.code === 'BAD_ENGINE')) return undefined;
    throw error;
  }
}

interface Workplace {
  readonly builder: EngineBuilder;
  readonly target: EngineTarget;
  readonly work: string;
  readonly timingCache: string;
  readonly signal: AbortSignal | undefined;
  readonly onProgress: (progress: BuildProgress) => void;
}

/** Builds into the work folder: graph, engine, manifest. */
async function build({ planned, graph, description }: WantedEngine, place: Workplace): Promise<EngineManifest> {
  const paths = enginePaths(place.work, planned.name);
  const graphPath = join(place.work, `${planned.name}.onnx`);
  try {
    await writeFile(graphPath, graph);
    const report = await runBuilder(planned.name, graphPath, paths.engine, description.profiles, place);
    const { size } = await stat(paths.engine);
    const file = { bytes: size, sha256: await sha256OfFile(paths.engine, place.signal) };
    const manifest = engineManifestSchema.parse({
      ...description,
      tensors: report.tensors,
      build: buildFacts(report),
      file,
      verified: null,
    });
    await writeFile(paths.manifest, `${JSON.stringify(manifest, null, 2)}\n`);
    return manifest;
  } catch (error) {
    throw toOutputError(error, place.work);
  }
}

async function runBuilder(
  name: string,
  graph: string,
  output: string,
  profiles: EngineManifest['profiles'],
  { builder, target, timingCache, signal, onProgress }: Workplace,
): Promise<EngineBuildReport> {
  const targets =
    target.kind === 'ahead-of-time' ? { targets: target.computeCapabilities } : { device: target.device.index ?? 0 };
  let cancel: (() => void) | undefined;
  try {
    const task = builder.addon.buildEngine({ graph, output, profiles, timingCache, onProgress, ...targets });
    cancel = () => task.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
    const report = await task.done;
    throwIfAborted(signal);
    return report;
  } catch (error) {
    throwIfAborted(signal);
    throw toRvosError(error, { what: `engine ${name}` });
  } finally {
    if (cancel) signal?.removeEventListener('abort', cancel);
  }
}

function buildFacts(report: EngineBuildReport): EngineManifest['build'] {
  return {
    finished: new Date().toISOString(),
    seconds: Number(report.seconds.toFixed(3)),
    scratch_bytes: report.scratchBytes,
    peak_host_bytes: report.peakHostBytes,
    warnings: report.warnings.slice(0, 50).map((text) => text.replace(/\p{Cc}+/gu, ' ').slice(0, 2000)),
  };
}

/** Puts engine and manifest in their places, never mixed with those that another process puts there. */
async function publish(work: string, folder: string, name: string): Promise<void> {
  const from = enginePaths(work, name);
  const to = enginePaths(folder, name);
  try {
    await withFolderLock(folder, async () => {
      await rename(from.engine, to.engine);
      await rename(from.manifest, to.manifest);
    });
  } catch (error) {
    throw toOutputError(error, to.engine);
  }
}
