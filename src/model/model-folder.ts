import { readdir, readFile, realpath, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { Preprocessing } from '../backends/backend.js';
import { RvosError } from '../errors.js';
import { sha256OfFile } from '../files/digest.js';
import { packageRoot } from '../package-root.js';
import { findPulledModel, notPulled } from '../pull/pulled-models.js';
import { Tokenizer } from '../text/tokenizer.js';
import type { WindowSchedule } from '../windows.js';
import type { Architecture, Precision, StageName } from './architecture.js';
import type { ClipSize, FrameSize } from './clip-size.js';
import { type BuildGraph, GraphStore } from './graph-store.js';
import { descriptionFile, type ModelDescription, modelDescriptionSchema, weightsFile } from './model-description.js';
import { stageGraph } from './stages/index.js';
import type { Target } from './target.js';
import { weightOffsets } from './weight-layout.js';

const maxDescriptionBytes = 2 ** 20;
const importRemedy = 'Make the folder again: rvos import <checkpoint> --out DIR';

/** A network ready for a backend: what `rvos import` wrote, checked. */
export class ModelFolder {
  readonly #graphs: GraphStore;
  #tokenizer: Promise<Tokenizer> | undefined;

  /** Use {@link openModelFolder}. */
  constructor(
    /** Absolute path without symbolic links. */
    readonly path: string,
    /** `model.json` as it stands. */
    readonly description: ModelDescription,
    /** Root of the cache, for graphs that cannot lie in the folder; default that of the process. */
    readonly cacheFolder?: string,
  ) {
    const options = { architecture: this.architecture, stored: this.precision } as const;
    const build: BuildGraph = (stage, clip, target) => stageGraph(stage, { ...options, target, ...(clip && { clip }) });
    this.#graphs = new GraphStore({ folder: path, ...description.files[weightsFile]! }, build, cacheFolder);
  }

  get name(): string {
    return this.description.name;
  }

  get architecture(): Architecture {
    return this.description.architecture;
  }

  /** How `weights.bin` stores floats. */
  get precision(): Precision {
    return this.description.precision;
  }

  get preprocessing(): Preprocessing {
    const { short_side, long_side, antialias, mean, std } = this.description.preprocessing;
    return { shortSide: short_side, longSide: long_side, antialias, mean, std };
  }

  get windows(): WindowSchedule {
    return this.description.windows;
  }

  /** Windows whose best referred score is below this give empty masks; 0 = always a mask. */
  get minScore(): number {
    return this.description.min_score;
  }

  get weightsPath(): string {
    return join(this.path, weightsFile);
  }

  get weightsSha256(): string {
    return this.description.files[weightsFile]!.sha256;
  }

  /** The model's tokenizer, opened once. Throws `RvosError` BAD_MODEL_FOLDER. */
  tokenizer(): Promise<Tokenizer> {
    const { file, max_tokens: maxTokens } = this.description.tokenizer;
    this.#tokenizer ??= Tokenizer.open(join(this.path, file), { maxTokens });
    return this.#tokenizer;
  }

  /**
   * Path of a stage's ONNX graph, beside (a link to) `weights.bin`; written when it is first asked for. `clip` is needed but
   * for the text encoder; `target` is a runtime on the CPU, default ONNX Runtime. Throws `RvosError` OUTPUT_NOT_WRITABLE,
   * DISK_FULL.
   */
  graphPath(stage: 'text-encoder', clip?: undefined, target?: Target): Promise<string>;
  graphPath(stage: StageName, clip: ClipSize | FrameSize, target?: Target): Promise<string>;
  graphPath(stage: StageName, clip?: ClipSize | FrameSize, target?: Target): Promise<string> {
    return this.#graphs.path(stage, stage === 'text-encoder' ? undefined : clip, target);
  }
}

export interface OpenModelOptions {
  /** Root of the cache for this model; default what `configure` set, `$RVOS_HOME`, `$XDG_CACHE_HOME/rvos` or `~/.cache/rvos`. */
  readonly cacheFolder?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Opens a model folder by its path, or by its bare name a shipped one (`compact`) or one that was pulled (`mttr`). Every file that `model.json` lists is
 * checked, size and SHA-256, once a process. Throws `RvosError`: NOT_FOUND; BAD_MODEL_FOLDER naming what is missing,
 * damaged or of an unknown form; ABORTED.
 */
export async function openModelFolder(pathOrName: string, options: OpenModelOptions = {}): Promise<ModelFolder> {
  const path = await locate(pathOrName, options.cacheFolder);
  const description = await readDescription(path);
  for (const [name, expected] of Object.entries(description.files)) {
    await checkFile(join(path, name), expected, options.signal);
  }
  const { totalBytes } = weightOffsets(description.architecture, description.precision);
  const { bytes } = description.files[weightsFile]!;
  if (bytes !== totalBytes) {
    throw bad(`${join(path, weightsFile)} has ${bytes} bytes where the architecture needs ${totalBytes}`);
  }
  return new ModelFolder(path, description, options.cacheFolder);
}

async function locate(pathOrName: string, cacheFolder?: string): Promise<string> {
  const folder = resolve(pathOrName);
  if (await isFile(join(folder, descriptionFile))) return realpath(folder);
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(pathOrName)) {
    const shipped = join(packageRoot, 'models', pathOrName);
    if (await isFile(join(shipped, descriptionFile))) return realpath(shipped);
  }
  const pulled = await findPulledModel(pathOrName, cacheFolder);
  if (pulled) return realpath(pulled);
  if ((await stat(folder).catch(() => undefined))?.isDirectory()) {
    throw bad(`${pathOrName} has no ${descriptionFile}: it is not a model folder`);
  }
  if (/^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(pathOrName)) throw notPulled(pathOrName);
  const names = await shippedModels();
  const also =
    names.length > 0 ? `, or ${names.join(', ')}, which ${names.length > 1 ? 'come' : 'comes'} with rvos` : '';
  throw new RvosError('NOT_FOUND', `no model ${pathOrName}`, `Give a folder that rvos import made${also}.`);
}

/** Whether `openModelFolder` finds something under a path or name, sound or not. */
export async function isModelHere(pathOrName: string, cacheFolder?: string): Promise<boolean> {
  return locate(pathOrName, cacheFolder).then(
    () => true,
    () => false,
  );
}

/** Names of the models that come with the package. */
export async function shippedModels(): Promise<string[]> {
  const names = await readdir(join(packageRoot, 'models')).catch(() => []);
  const found = await Promise.all(names.map((name) => isFile(join(packageRoot, 'models', name, descriptionFile))));
  return names.filter((_, i) => found[i]).sort();
}

async function readDescription(folder: string): Promise<ModelDescription> {
  const path = join(folder, descriptionFile);
  let value: unknown;
  try {
    if ((await stat(path)).size > maxDescriptionBytes) throw bad(`${path} is larger than a description can be`);
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (cause) {
    if (cause instanceof RvosError) throw cause;
    throw bad(`${path} cannot be read as JSON`, cause);
  }
  const parsed = modelDescriptionSchema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw bad(
    `${path}: ${issue?.path.map(String).join('.').slice(0, 200) || 'contents'}: ${issue?.message.slice(0, 300)}`,
  );
}

/** Files found right in this process, by path; with the state they were in then. */
const verified = new Map<string, string>();

async function checkFile(
  path: string,
  expected: { bytes: number; sha256: string },
  signal?: AbortSignal,
): Promise<void> {
  const found = await stat(path).catch(() => undefined);
  if (!found?.isFile()) throw bad(`${path} is missing`);
  if (found.size !== expected.bytes) throw bad(`${path} has ${found.size} bytes instead of ${expected.bytes}`);
  const state = `${expected.sha256} ${found.size} ${found.mtimeMs} ${found.ino}`;
  if (verified.get(path) === state) return;
  if ((await digest(path, signal)) !== expected.sha256)
    throw bad(`${path} is damaged: its SHA-256 is not the expected one`);
  verified.set(path, state);
}

async function digest(path: string, signal?: AbortSignal): Promise<string> {
  try {
    return await sha256OfFile(path, signal);
  } catch (cause) {
    if (cause instanceof RvosError) throw cause;
    throw bad(`${path} cannot be read`, cause);
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

function bad(message: string, cause?: unknown): RvosError {
  return new RvosError('BAD_MODEL_FOLDER', message, importRemedy, { cause });
}
