import { stat, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { RvosError, throwIfAborted } from '../errors.js';
import { AtomicFolder } from '../files/atomic-output.js';
import { sha256, sha256OfFile } from '../files/digest.js';
import { toOutputError } from '../files/output-error.js';
import { networkSize } from '../preprocess/size-rule.js';
import { defaultMaxTokens, Tokenizer } from '../text/tokenizer.js';
import { tokenizerRemedy } from '../text/tokenizer-file.js';
import type { Architecture, Precision } from './architecture.js';
import { type ArchitectureHints, readArchitectureFile } from './architecture-hints.js';
import { maxTokensOf } from './check-architecture.js';
import { checkPrecision, type StageError } from './check-precision.js';
import { type Checkpoint, openCheckpoint } from './checkpoint/checkpoint.js';
import { type CheckpointSource, locateSource } from './checkpoint/source.js';
import { graphFileName, isGraphFileName } from './graph-store.js';
import { inferArchitecture } from './infer-architecture.js';
import {
  descriptionFile,
  type ModelDescription,
  modelDescriptionSchema,
  tokenizerFile,
  weightsFile,
} from './model-description.js';
import { stageGraph } from './stages/index.js';
import { writeWeights } from './weight-file.js';
import { expectedParameters } from './weight-layout.js';

/** Mean and deviation of ImageNet's pixels, which the published network was trained with. */
const imageNet = { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] } as const;
/** Frames for whose shape the graphs are written in advance; others follow when they are first needed. */
const usualFrame = { height: 720, width: 1280 };

export interface ImportOptions {
  /** Checkpoint file (`torch.save` or safetensors) or ModelScope folder. */
  readonly source: string;
  /** Folder to make. */
  readonly out: string;
  /** `config.json` with what shapes do not tell: numbers of attention heads above all. */
  readonly architecture?: string | undefined;
  /** Folder with `tokenizer.json`, or `vocab.json` and `merges.txt`; default: what lies beside the checkpoint. */
  readonly tokenizer?: string | undefined;
  /** How weights are stored; default: as in the checkpoint. */
  readonly precision?: Precision | undefined;
  /** Compare FP16 with FP32 stage by stage. */
  readonly check?: boolean | undefined;
  /** Replace an earlier model folder. */
  readonly force?: boolean | undefined;
  /** Default: the name of the folder. */
  readonly name?: string | undefined;
  readonly licence?: string | undefined;
  /** Pixels; default 360 and 640, or what `architecture` says. */
  readonly shortSide?: number | undefined;
  readonly longSide?: number | undefined;
  /** Default on, as the network was trained. */
  readonly antialias?: boolean | undefined;
  /** Default 0: always a mask. */
  readonly minScore?: number | undefined;
  /** Bytes of weights written so far, and in all. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface ImportResult {
  /** The folder made. */
  readonly path: string;
  readonly description: ModelDescription;
  /** What had to be assumed. */
  readonly warnings: readonly string[];
  /** With `check`: how far FP16 is from FP32, per stage. */
  readonly stageErrors: readonly StageError[] | undefined;
}

/**
 * Makes a model folder from a checkpoint. The same input gives the same bytes; the folder appears when it is complete.
 * Throws `RvosError`: NOT_FOUND, BAD_CHECKPOINT, BAD_ARGUMENT, BAD_MODEL_FOLDER (the tokenizer), OUTPUT_EXISTS,
 * OUTPUT_NOT_WRITABLE, DISK_FULL, ABORTED.
 */
export async function importModel(options: ImportOptions): Promise<ImportResult> {
  const source = await locateSource(options.source);
  const config = options.architecture === undefined ? undefined : await readArchitectureFile(options.architecture);
  const tokenizer = await openTokenizer(options, source);
  await using checkpoint = await openCheckpoint(source.weights);
  const hints = config ? [config, ...source.hints] : source.hints;
  const { architecture, warnings } = inferArchitecture(source.weights, checkpoint.tensors, hints);
  checkTokenizer(tokenizer, architecture);

  const settings = describeSettings(options, config, architecture, checkpoint);
  await using folder = await AtomicFolder.create(options.out, {
    force: options.force ?? false,
    owned: (name) => isModelFile(name) || name === 'pulled.json',
  });
  const write = new FolderWriter(folder.temporaryPath, options.out);
  const { precision } = settings;
  await write.weights((path) => writeWeights(path, checkpoint, architecture, { precision, ...options }));
  await write.file(tokenizerFile, JSON.stringify(tokenizer.file));
  await writeGraphs(write, settings);
  const provenance = await describeProvenance(options, source, checkpoint);
  const description = validated({ ...settings, provenance, files: write.files });
  await write.file(descriptionFile, `${JSON.stringify(description, null, 2)}\n`);
  const scratch = join(folder.temporaryPath, 'check');
  const stageErrors = options.check
    ? await checkPrecision(checkpoint, architecture, scratch, options.signal)
    : undefined;
  throwIfAborted(options.signal);
  await folder.finish();
  return { path: resolve(options.out), description, warnings, stageErrors };
}

/** What `--force` may replace. */
export function isModelFile(name: string): boolean {
  return [descriptionFile, weightsFile, tokenizerFile].includes(name) || isGraphFileName(name);
}

async function openTokenizer(options: ImportOptions, source: CheckpointSource): Promise<Tokenizer> {
  const path = options.tokenizer ?? source.tokenizer;
  if (path === undefined) {
    throw new RvosError('NOT_FOUND', `no tokenizer beside ${options.source}`, tokenizerRemedy);
  }
  return Tokenizer.open(path);
}

function checkTokenizer(tokenizer: Tokenizer, { roberta }: Architecture): void {
  const remedy = 'Pass the tokenizer that the network was trained with as --tokenizer DIR.';
  if (tokenizer.vocabularySize > roberta.vocab_size) {
    const message = `the tokenizer has ${tokenizer.vocabularySize} tokens, the text encoder knows ${roberta.vocab_size}`;
    throw new RvosError('BAD_ARGUMENT', message, remedy);
  }
  if (tokenizer.bosId !== roberta.bos_token_id || tokenizer.eosId !== roberta.eos_token_id) {
    const message = `the tokenizer frames sentences with ids ${tokenizer.bosId} and ${tokenizer.eosId}, the text encoder with ${roberta.bos_token_id} and ${roberta.eos_token_id}`;
    throw new RvosError('BAD_ARGUMENT', message, remedy);
  }
}

type Settings = Omit<ModelDescription, 'provenance' | 'files'>;

function describeSettings(
  options: ImportOptions,
  config: ArchitectureHints | undefined,
  architecture: Architecture,
  checkpoint: Checkpoint,
): Settings {
  return {
    format: 'rvos-model',
    version: 1,
    name: options.name ?? basename(resolve(options.out)),
    architecture,
    preprocessing: {
      short_side: options.shortSide ?? config?.short_side ?? 360,
      long_side: options.longSide ?? config?.long_side ?? 640,
      antialias: options.antialias ?? true,
      mean: config?.pixel_mean ?? [...imageNet.mean],
      std: config?.pixel_std ?? [...imageNet.std],
    },
    windows: { length: config?.window_length ?? 24, overlap: config?.window_overlap ?? 6 },
    tokenizer: { file: tokenizerFile, max_tokens: Math.min(defaultMaxTokens, maxTokensOf(architecture.roberta)) },
    min_score: options.minScore ?? 0,
    precision: options.precision ?? storedPrecision(checkpoint, architecture),
    licence: options.licence ?? 'not stated',
  };
}

function storedPrecision(checkpoint: Checkpoint, architecture: Architecture): Precision {
  const names = [...expectedParameters(architecture).keys()];
  return names.every((name) => checkpoint.tensors.get(name)?.dtype === 'F16') ? 'fp16' : 'fp32';
}

async function writeGraphs(
  write: FolderWriter,
  { architecture, precision, preprocessing, windows }: Settings,
): Promise<void> {
  const size = networkSize(usualFrame, { shortSide: preprocessing.short_side, longSide: preprocessing.long_side });
  const clip = { frames: windows.length, ...size };
  for (const stage of ['backbone', 'text-encoder', 'transformer'] as const) {
    const stageClip = stage === 'text-encoder' ? undefined : clip;
    const bytes = stageGraph(stage, {
      architecture,
      target: 'onnxruntime',
      stored: precision,
      ...(stageClip && { clip: stageClip }),
    });
    await write.file(graphFileName(stage, stageClip, bytes), bytes);
  }
}

async function describeProvenance(options: ImportOptions, source: CheckpointSource, checkpoint: Checkpoint) {
  return {
    source: basename(resolve(options.source)),
    format: source.weights === options.source ? checkpoint.format : `modelscope (${checkpoint.format})`,
    bytes: (await stat(source.weights)).size,
    sha256: await sha256OfFile(source.weights, options.signal),
  };
}

function validated(description: ModelDescription): ModelDescription {
  const parsed = modelDescriptionSchema.safeParse(description);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const what = `${issue?.path.map(String).join('.')}: ${issue?.message}`;
  throw new RvosError(
    'BAD_ARGUMENT',
    `this makes no valid model: ${what}`,
    'Change the option or the config.json it comes from.',
  );
}

/** Writes files into the folder to be and keeps their sizes and digests. */
class FolderWriter {
  readonly files: ModelDescription['files'] = {};

  constructor(
    private readonly folder: string,
    private readonly target: string,
  ) {}

  async file(name: string, contents: string | Uint8Array): Promise<void> {
    await this.#guarded(() => writeFile(join(this.folder, name), contents, { flag: 'wx' }));
    this.files[name] = { bytes: Buffer.byteLength(contents), sha256: sha256(contents) };
  }

  async weights(write: (path: string) => Promise<{ bytes: number; sha256: string }>): Promise<void> {
    this.files[weightsFile] = await this.#guarded(() => write(join(this.folder, weightsFile)));
  }

  async #guarded<T>(action: () => Promise<T>): Promise<T> {
    try {
      return await action();
    } catch (error) {
      throw toOutputError(error, this.target);
    }
  }
}
