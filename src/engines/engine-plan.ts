import { RvosError } from '../errors.js';
import type { Architecture, Precision, StageName } from '../model/architecture.js';
import { maxTokensOf } from '../model/check-architecture.js';
import type { ModelFolder } from '../model/model-folder.js';
import { stageGraph } from '../model/stages/index.js';
import { levelSizes } from '../model/stages/stage-options.js';
import type { ShapeRange } from '../native/tensorrt-addon.js';
import { maxNetworkSide, type Size } from '../preprocess/size-rule.js';

/** What the optimisation profiles of a set of engines allow at most. */
export interface EngineLimits {
  /** Windows B in a batch. */
  readonly windows: number;
  /** Sentences P in a batch, those of all its windows together. */
  readonly sentences: number;
  /** Tokens S of a sentence. */
  readonly tokens: number;
}

export const defaultEngineLimits: EngineLimits = { windows: 2, sentences: 8, tokens: 64 };

/** Larger limits than these are taken for a mistake. */
export const mostEngineLimits: EngineLimits = { windows: 8, sentences: 256, tokens: 4096 };

export type EngineRole = 'text-encoder' | 'backbone-short' | 'backbone-long' | 'transformer';

export type Profile = Readonly<Record<string, ShapeRange>>;

/** One engine that a model needs: what to build and for which shapes. */
export interface PlannedEngine {
  readonly role: EngineRole;
  readonly stage: StageName;
  /** Name of its files: `text-encoder`, `backbone-short-360x640`, `transformer-360x640`. */
  readonly name: string;
  /** Input of the network; null for the text encoder, which serves all sizes. */
  readonly size: Size | null;
  /** Frames Tp: for a backbone those of its graph, for the transformer one number a profile, for the text encoder none. */
  readonly frames: readonly number[];
}

/** Frames Tp of the `short` and the `long` engine; long 0: windows are so short that there is none. */
export interface ClipForms {
  readonly short: number;
  readonly long: number;
}

/** What a plan depends on; a `ModelFolder` is one. */
export type PlannedModel = Pick<ModelFolder, 'architecture' | 'windows'>;

/** Tp of the engines for windows of L frames: the temporal window wt of Swin, and wt·⌈L/wt⌉ where that is more. */
export function clipForms({ architecture, windows }: PlannedModel): ClipForms {
  const short = architecture.swin.window_size[0];
  const long = short * Math.ceil(windows.length / short);
  return { short, long: long > short ? long : 0 };
}

/** The engine of all sizes. */
export function planTextEncoder(): PlannedEngine {
  return { role: 'text-encoder', stage: 'text-encoder', name: 'text-encoder', size: null, frames: [] };
}

/**
 * The engines of one size, in the order the data passes them: two backbones (one where windows are no longer than the
 * temporal window) and the transformer with one profile for each of them. Throws `RvosError` BAD_ARGUMENT for a size that
 * is none.
 */
export function planSize(model: PlannedModel, size: Size): PlannedEngine[] {
  const { height, width } = size;
  if (![height, width].every((side) => Number.isInteger(side) && side >= 1 && side <= maxNetworkSide)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `${sizeLabel(size)} is no size of the network's input`,
      `Give HEIGHTxWIDTH in pixels, each from 1 to ${maxNetworkSide}, as 360x640.`,
    );
  }
  const { short, long } = clipForms(model);
  const label = sizeLabel(size);
  const backbone = (role: 'backbone-short' | 'backbone-long', frames: number): PlannedEngine => {
    return { role, stage: 'backbone', name: `${role}-${label}`, size, frames: [frames] };
  };
  const frames = long > 0 ? [short, long] : [short];
  return [
    backbone('backbone-short', short),
    ...(long > 0 ? [backbone('backbone-long', long)] : []),
    { role: 'transformer', stage: 'transformer', name: `transformer-${label}`, size, frames },
  ];
}

/** `360x640`, height first. */
export function sizeLabel({ height, width }: Size): string {
  return `${height}x${width}`;
}

/** Limits that the model allows: sentences are never longer than its position embeddings. Throws BAD_ARGUMENT. */
export function engineLimits({ architecture }: PlannedModel, wanted: Partial<EngineLimits> = {}): EngineLimits {
  const longest = Math.min(mostEngineLimits.tokens, maxTokensOf(architecture.roberta));
  const limits = {
    windows: wanted.windows ?? defaultEngineLimits.windows,
    sentences: wanted.sentences ?? defaultEngineLimits.sentences,
    tokens: wanted.tokens ?? Math.min(defaultEngineLimits.tokens, longest),
  };
  const most = { ...mostEngineLimits, tokens: longest };
  const least = { windows: 1, sentences: 1, tokens: 2 };
  for (const name of ['windows', 'sentences', 'tokens'] as const) {
    const value = limits[name];
    if (Number.isInteger(value) && value >= least[name] && value <= most[name]) continue;
    throw new RvosError(
      'BAD_ARGUMENT',
      `engines for ${value} ${name} cannot be built`,
      `Give a whole number from ${least[name]} to ${most[name]}.`,
    );
  }
  return limits;
}

/**
 * The optimisation profiles of a planned engine. A backbone has one for each number of windows B, number b − 1 for B = b:
 * attention over a number of windows that is known needs no copies (docs/tensorrt-graphs.md). The transformer has one for
 * each T, in which B, P and S are ranges; the text encoder a single one.
 */
export function planProfiles(model: PlannedModel, engine: PlannedEngine, limits: EngineLimits): Profile[] {
  const { size } = engine;
  if (size === null) return [textProfile(limits)];
  if (engine.stage !== 'backbone') {
    return engine.frames.map((frames) => transformerProfile(model.architecture, size, frames, limits));
  }
  return Array.from({ length: limits.windows }, (_, i) => backboneProfile(size, engine.frames[0]!, i + 1));
}

/**
 * The ONNX graph an engine is made from: in the form for TensorRT, its weights external in `weights.bin`. `compute`: what
 * products take, `sums`: what they are summed in.
 */
export function engineGraph(
  model: Pick<ModelFolder, 'architecture' | 'precision'>,
  { stage, size, frames }: PlannedEngine,
  compute: Precision = 'fp16',
  sums: Precision = 'fp32',
): Uint8Array {
  const { architecture, precision: stored } = model;
  const options = { architecture, stored, target: 'tensorrt', compute, sums } as const;
  const clip = size && { ...size, frames: Math.max(...frames) };
  return stageGraph(stage, clip ? { ...options, clip } : options);
}

/** The fastest kernels are chosen for short sentences, which most are. */
const usualTokens = 16;
/** And for as many sentences as a window usually has: the transformer sees those of a full batch. */
const usualSentences = 2;

function textProfile({ sentences, tokens }: EngineLimits): Profile {
  const range = sentenceRange({ min: 1, opt: 1, max: sentences }, tokens);
  return { input_ids: range, attention_mask: range };
}

function backboneProfile({ height, width }: Size, frames: number, windows: number): Profile {
  const exactly = { min: windows, opt: windows, max: windows };
  return {
    frames: range((b) => [b, frames, 3, height, width], exactly),
    frame_count: range((b) => [b], exactly),
  };
}

function transformerProfile(
  { swin, mttr }: Architecture,
  { height, width }: Size,
  frames: number,
  { windows, sentences, tokens }: EngineLimits,
): Profile {
  const perWindow = { min: 1, opt: windows, max: windows };
  const perSentence = { min: 1, opt: Math.min(windows * usualSentences, sentences), max: sentences };
  const levels = levelSizes(height, width).map(([h, w], i) => [
    `level${i}`,
    range((b) => [b, frames, swin.embed_dim << i, h, w], perWindow),
  ]);
  return {
    ...Object.fromEntries(levels),
    frame_count: range((b) => [b], perWindow),
    text_features: sentenceRange(perSentence, tokens, [mttr.d_model]),
    attention_mask: sentenceRange(perSentence, tokens),
    window_index: range((p) => [p], perSentence),
  };
}

function sentenceRange(sentences: Extents, tokens: number, rest: readonly number[] = []): ShapeRange {
  return {
    min: [sentences.min, 2, ...rest],
    opt: [sentences.opt, Math.min(usualTokens, tokens), ...rest],
    max: [sentences.max, tokens, ...rest],
  };
}

/** One axis of a range. */
interface Extents {
  readonly min: number;
  readonly opt: number;
  readonly max: number;
}

function range(shape: (axis: number) => readonly number[], sizes: Extents): ShapeRange {
  return { min: shape(sizes.min), opt: shape(sizes.opt), max: shape(sizes.max) };
}
