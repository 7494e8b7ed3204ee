import { RvosError } from '../errors.js';
import type { TensorInfo } from '../tensors/tensor.js';
import { type Architecture, architectureSchema } from './architecture.js';
import type { ArchitectureHints } from './architecture-hints.js';
import { architectureProblem } from './check-architecture.js';
import { expectedParameters, ignoredParameter } from './weight-layout.js';

type Tensors = ReadonlyMap<string, TensorInfo>;

/** Layers beyond this are no layers of this network but somebody's number in a name. */
const maxLayers = 256;
/** How many wrong keys a message names. */
const namedKeys = 5;
/** Rows of the relative position bias of the published window (8,7,7): 15·13·13. */
const publishedBiasRows = 2535;
const published = { nheads: 8, d_model: 256, headSize: 64, hidden_size: 768 };

/** What was found, and in words what had to be assumed. */
export interface InferredArchitecture {
  readonly architecture: Architecture;
  readonly warnings: readonly string[];
}

/**
 * The architecture of a network from the names and shapes of its parameters. Numbers of attention heads leave no trace
 * in shapes: they come from the hints, or are the published ones. Throws `RvosError` BAD_CHECKPOINT naming keys that are
 * missing, surplus or of a wrong shape, and BAD_ARGUMENT where hints contradict the shapes.
 */
export function inferArchitecture(
  path: string,
  tensors: Tensors,
  hints: readonly ArchitectureHints[] = [],
): InferredArchitecture {
  const seen = new Shapes(path, tensors);
  const [embed] = seen.shape('backbone.patch_embed.proj.weight', 5);
  const [queries, width] = seen.shape('obj_queries.weight', 2);
  const [vocabulary, hidden] = seen.shape(`${text}.embeddings.word_embeddings.weight`, 2);
  const tables = [0, 1, 2].map((i) => seen.shape(`backbone.layers.${i}.blocks.0.attn.relative_position_bias_table`, 2));
  const found = {
    swin: {
      embed_dim: embed,
      depths: [0, 1, 2].map((stage) => seen.layers(`backbone.layers.${stage}.blocks.`)),
      num_heads: tables.map(([, heads]) => heads),
      patch_size: seen.shape('backbone.patch_embed.proj.weight', 5).slice(2),
      ...(tables[0]![0] === publishedBiasRows ? { window_size: [8, 7, 7] } : {}),
    },
    roberta: {
      hidden_size: hidden,
      num_hidden_layers: seen.layers(`${text}.encoder.layer.`),
      intermediate_size: seen.shape(`${text}.encoder.layer.0.intermediate.dense.weight`, 2)[0],
      max_position_embeddings: seen.shape(`${text}.embeddings.position_embeddings.weight`, 2)[0],
      vocab_size: vocabulary,
      type_vocab_size: seen.shape(`${text}.embeddings.token_type_embeddings.weight`, 2)[0],
    },
    mttr: {
      num_queries: queries,
      mask_kernels_dim: seen.shape('instance_kernels_head.layers.1.weight', 2)[0],
      d_model: width,
      num_encoder_layers: seen.layers('transformer.encoder.layers.'),
      num_decoder_layers: seen.layers('transformer.decoder.layers.'),
      dim_feedforward: seen.shape('transformer.encoder.layers.0.linear1.weight', 2)[0],
    },
  };

  const warnings: string[] = [];
  const stated = combine(hints);
  const complete = {
    swin: { ...found.swin, window_size: found.swin.window_size ?? stated.swin.window_size },
    roberta: {
      ...stated.roberta,
      ...found.roberta,
      num_attention_heads: stated.roberta.num_attention_heads ?? hidden! / published.headSize,
    },
    mttr: { ...found.mttr, nheads: stated.mttr.nheads ?? published.nheads },
  };
  for (const hint of hints) refuseContradictions(path, hint, complete);
  if (stated.mttr.nheads === undefined && width !== published.d_model) {
    warnings.push(
      `assuming ${published.nheads} heads in the transformer; pass --architecture config.json if that is wrong`,
    );
  }
  if (stated.roberta.num_attention_heads === undefined && hidden !== published.hidden_size) {
    const heads = complete.roberta.num_attention_heads;
    warnings.push(`assuming ${heads} heads in the text encoder; pass --architecture config.json if that is wrong`);
  }
  const architecture = validated(path, complete, tables[0]![0]!);
  checkKeys(path, tensors, architecture);
  return { architecture, warnings };
}

const text = 'transformer.text_encoder';

/** Shapes by name; whatever is not there is an error that names it. */
class Shapes {
  constructor(
    private readonly path: string,
    private readonly tensors: Tensors,
  ) {}

  shape(name: string, axes: number): readonly number[] {
    const shape = this.tensors.get(name)?.shape;
    if (!shape) throw notMttr(`${this.path} lacks ${name}`);
    if (shape.length !== axes) throw notMttr(`${this.path}: ${name} has shape [${shape}] instead of ${axes} axes`);
    return shape;
  }

  /** 1 + the largest number that follows the prefix. */
  layers(prefix: string): number {
    let count = 0;
    for (const name of this.tensors.keys()) {
      if (!name.startsWith(prefix)) continue;
      const digits = /^\d{1,4}(?=\.)/.exec(name.slice(prefix.length))?.[0];
      if (digits !== undefined && Number(digits) < maxLayers) count = Math.max(count, Number(digits) + 1);
    }
    if (count === 0) throw notMttr(`${this.path} lacks ${prefix}0`);
    return count;
  }
}

/** Earlier hints go before later ones. */
function combine(hints: readonly ArchitectureHints[]) {
  const later = [...hints].reverse();
  return {
    swin: Object.assign({}, ...later.map((hint) => hint.swin)) as NonNullable<ArchitectureHints['swin']>,
    roberta: Object.assign({}, ...later.map((hint) => hint.roberta)) as NonNullable<ArchitectureHints['roberta']>,
    mttr: Object.assign({}, ...later.map((hint) => hint.mttr)) as NonNullable<ArchitectureHints['mttr']>,
  };
}

function refuseContradictions(
  path: string,
  hint: ArchitectureHints,
  complete: Readonly<Record<'swin' | 'roberta' | 'mttr', Readonly<Record<string, unknown>>>>,
): void {
  for (const part of ['swin', 'roberta', 'mttr'] as const) {
    for (const [key, stated] of Object.entries(hint[part] ?? {})) {
      const actual = complete[part][key];
      // The original's fourth stage is constructed and thrown away.
      const relevant = Array.isArray(stated) && (key === 'depths' || key === 'num_heads') ? stated.slice(0, 3) : stated;
      if (actual === undefined || JSON.stringify(relevant) === JSON.stringify(actual)) continue;
      throw new RvosError(
        'BAD_ARGUMENT',
        `${hint.source} says ${part}.${key} ${JSON.stringify(relevant)}, but in ${path} it is ${JSON.stringify(actual)}`,
        'Use the configuration that belongs to the checkpoint.',
      );
    }
  }
}

function validated(path: string, value: unknown, biasRows: number): Architecture {
  const parsed = architectureSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    const where = issue?.path.map(String).join('.') ?? '';
    if (where === 'swin.window_size') throw unknownWindow(path, biasRows);
    const remedy = 'Pass --architecture config.json with the values that shapes do not tell.';
    throw new RvosError('BAD_CHECKPOINT', `${path}: ${where} cannot be ${describe(issue?.message)}`, remedy);
  }
  const { window_size: window } = parsed.data.swin;
  if (window.reduce((product, size) => product * (2 * size - 1), 1) !== biasRows) throw unknownWindow(path, biasRows);
  const problem = architectureProblem(parsed.data);
  if (problem !== undefined) {
    const remedy = 'Pass --architecture config.json with the right numbers of heads.';
    throw new RvosError('BAD_CHECKPOINT', `${path}: ${problem}`, remedy);
  }
  return parsed.data;
}

function describe(message: string | undefined): string {
  return `told from the shapes (${message ?? 'unknown'})`;
}

function unknownWindow(path: string, rows: number): RvosError {
  const remedy = 'Pass --architecture config.json with swin.window_size.';
  return new RvosError('BAD_CHECKPOINT', `${path}: no known attention window has ${rows} relative positions`, remedy);
}

function checkKeys(path: string, tensors: Tensors, architecture: Architecture): void {
  const expected = expectedParameters(architecture);
  const problems: string[] = [];
  for (const [name, shape] of expected) {
    const tensor = tensors.get(name);
    if (!tensor) problems.push(`${name} is missing`);
    else if (!sameShape(tensor.shape, shape))
      problems.push(`${name} has shape [${tensor.shape}] instead of [${shape}]`);
    else if (!/^(F|BF)\d+$/.test(tensor.dtype)) problems.push(`${name} holds ${tensor.dtype} instead of floats`);
  }
  for (const name of tensors.keys()) {
    if (!expected.has(name) && !ignoredParameter(name))
      problems.push(`${JSON.stringify(name.slice(0, 200))} is surplus`);
  }
  if (problems.length === 0) return;
  const more = problems.length > namedKeys ? `, and ${problems.length - namedKeys} more` : '';
  throw notMttr(`${path}: ${problems.slice(0, namedKeys).join(', ')}${more}`);
}

function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === b[i]);
}

function notMttr(message: string): RvosError {
  return new RvosError(
    'BAD_CHECKPOINT',
    message,
    'A checkpoint of MTTR with a Video Swin backbone and RoBERTa is needed.',
  );
}
