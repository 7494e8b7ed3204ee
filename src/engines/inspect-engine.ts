import { readdir, stat } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { describeError, RvosError } from '../errors.js';
import { descriptionFile } from '../model/model-description.js';
import { loadTensorRt, probeTensorRt, runsHere } from '../native/load-tensorrt.js';
import type { NativeDevice, NativeEngineInspection } from '../native/tensorrt-addon.js';
import { toRvosError } from '../native/tensorrt-errors.js';
import type { FlavorProbe } from '../native/tensorrt-flavor.js';
import { flavorName } from '../native/tensorrt-flavor.js';
import { hostDifferences } from './engine-fit.js';
import { engineCommand, enginePaths } from './engine-folder.js';
import { type EngineManifest, manifestFormat, readEngineManifest } from './engine-manifest.js';
import { verifyEngineFile } from './verify-engine.js';

/** What an engine is; its file has been checked against the manifest. */
export interface EngineInspection {
  readonly kind: 'engine';
  readonly path: string;
  readonly manifest: EngineManifest;
  /** Why this machine cannot run it, each in words; empty if it can. */
  readonly differences: readonly string[];
  /** What is inside, as TensorRT's inspector says; null where it cannot be opened, then `problem` says why. */
  readonly contents: NativeEngineInspection | null;
  readonly problem: string | null;
}

/** One engine in a folder of engines. */
export interface ListedEngine {
  readonly path: string;
  /** Null if it cannot be read. */
  readonly manifest: EngineManifest | null;
  readonly differences: readonly string[];
  /** What is wrong with the files, in a line; null if they are sound. */
  readonly problem: string | null;
}

export interface EngineFolderInspection {
  readonly kind: 'engines';
  readonly path: string;
  readonly engines: readonly ListedEngine[];
}

type UsableProbe = FlavorProbe & { readonly usable: true };

/** A folder with more engines is not listed to its end. */
const mostEngines = 1000;

/** Whether a path is that of an engine, a manifest or a folder of them. */
export async function isEnginePath(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) return false;
  if (found.isDirectory()) {
    if (await stat(join(path, descriptionFile)).catch(() => undefined)) return false;
    return (await engineFiles(path)).length > 0;
  }
  if (path.endsWith('.engine')) return true;
  return path.endsWith('.json') && (await isManifest(path));
}

async function isManifest(path: string): Promise<boolean> {
  try {
    return (await readEngineManifest(path, '')).format === manifestFormat;
  } catch {
    return (await stat(path.replace(/\.json$/, '.engine')).catch(() => undefined)) !== undefined;
  }
}

/**
 * Says what an engine, given by its file or manifest, or all engines in a folder are. TensorRT is given an engine only if
 * its file is sound and fits this machine. Throws `RvosError` NOT_FOUND; BAD_ENGINE for a damaged one; ABORTED.
 */
export async function inspectEngines(
  path: string,
  options: { readonly signal?: AbortSignal } = {},
): Promise<EngineInspection | EngineFolderInspection> {
  const whole = resolve(path);
  if ((await stat(whole).catch(() => undefined))?.isDirectory()) {
    const found = await probeTensorRt();
    const files = (await engineFiles(whole)).slice(0, mostEngines);
    const engines: ListedEngine[] = [];
    for (const file of files) engines.push(await listEngine(file, found, options.signal));
    return { kind: 'engines', path: whole, engines };
  }
  const engine = whole.replace(/\.json$/, '.engine');
  const { manifest } = await readSound(engine, options.signal);
  const differences = differencesHere(manifest, await probeTensorRt());
  const opened = await contentsOf(engine, manifest, differences);
  return { kind: 'engine', path: engine, manifest, differences, ...opened };
}

/** One engine's files, without opening it. Rejects only with ABORTED. */
export async function listEngine(
  path: string,
  found: readonly FlavorProbe[],
  signal?: AbortSignal,
): Promise<ListedEngine> {
  try {
    const { manifest } = await readSound(path, signal);
    return { path, manifest, differences: differencesHere(manifest, found), problem: null };
  } catch (error) {
    if (!(error instanceof RvosError) || error.code === 'ABORTED') throw error;
    return { path, manifest: null, differences: [], problem: describeError(error) };
  }
}

/** Engine files in `engines`, `engines/<model>` or `engines/<model>/<key>`, sorted. */
export async function engineFiles(folder: string, depth = 2): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const visible = entries.filter(({ name }) => !name.startsWith('.')).sort((a, b) => (a.name < b.name ? -1 : 1));
  const files = visible.filter(({ name }) => name.endsWith('.engine')).map(({ name }) => join(folder, name));
  if (depth === 0) return files;
  for (const entry of visible) {
    if (entry.isDirectory() && files.length < mostEngines) {
      files.push(...(await engineFiles(join(folder, entry.name), depth - 1)));
    }
  }
  return files;
}

async function readSound(path: string, signal?: AbortSignal): Promise<{ manifest: EngineManifest }> {
  const hint = `Build it again: ${engineCommand(path)}`;
  const file = enginePaths(dirname(path), basename(path, '.engine')).manifest;
  if (!(await stat(path).catch(() => undefined))?.isFile()) {
    throw new RvosError('NOT_FOUND', `there is no engine ${path}`, hint);
  }
  if (!(await stat(file).catch(() => undefined))) {
    throw new RvosError(
      'BAD_ENGINE',
      `${path} has no manifest ${basename(file)}, without which no engine is opened`,
      hint,
    );
  }
  const manifest = await readEngineManifest(file, hint);
  if (manifest.engine !== basename(path, '.engine')) {
    throw new RvosError('BAD_ENGINE', `${file} is the manifest of ${manifest.engine}`, hint);
  }
  await verifyEngineFile(path, manifest.file, hint, signal);
  return { manifest };
}

/** Why this machine cannot run an engine, each in words; empty if it can. */
function differencesHere(manifest: EngineManifest, found: readonly FlavorProbe[]): string[] {
  const { flavor } = manifest.tensorrt;
  const probe = found.find((each) => each.flavor === flavor);
  if (!probe) return [`${flavorName(flavor)} was not looked for`];
  if (!probe.usable) return [probe.error.message];
  const device = fittingDevice(manifest, probe);
  const host = { flavor, libraryVersion: probe.learnt.libraryVersion, device: device ?? null };
  const differences = hostDifferences(manifest, host);
  if (device && differences.length === 0 && !runsHere(probe)) {
    differences.push(`${flavorName(flavor)} does not run on ${device.name}`);
  }
  return differences;
}

/** The first GPU that the engine fits; where it fits none, the first of all, whose differences are told. */
function fittingDevice(manifest: EngineManifest, { learnt, flavor }: UsableProbe): NativeDevice | undefined {
  const { devices, libraryVersion } = learnt;
  return (
    devices.find((device) => hostDifferences(manifest, { flavor, libraryVersion, device }).length === 0) ?? devices[0]
  );
}

async function contentsOf(
  path: string,
  manifest: EngineManifest,
  differences: readonly string[],
): Promise<Pick<EngineInspection, 'contents' | 'problem'>> {
  if (differences.length > 0) return { contents: null, problem: differences.join('; ') };
  try {
    const { addon, probe } = await loadTensorRt(manifest.tensorrt.flavor);
    return { contents: await addon.inspectEngine(path, fittingDevice(manifest, probe)?.index), problem: null };
  } catch (error) {
    const typed = toRvosError(error, { what: path });
    if (!(typed instanceof RvosError) || typed.code === 'BAD_ENGINE') throw typed;
    return { contents: null, problem: typed.message };
  }
}
