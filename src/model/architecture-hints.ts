import { readFile, stat } from 'node:fs/promises';
import { z } from 'zod';
import { RvosError } from '../errors.js';

const whole = z.number().int().nonnegative();

/**
 * What a configuration states about a network; any part may be absent. Values that follow from the shapes of the weights
 * are only compared, the rest are taken.
 */
const architecturePart = {
  swin: z.object({
    embed_dim: whole.optional(),
    depths: z.array(whole).min(3).max(4).optional(),
    num_heads: z.array(whole).min(3).max(4).optional(),
    window_size: z.array(whole).length(3).optional(),
    patch_size: z.array(whole).length(3).optional(),
  }),
  roberta: z.object({
    hidden_size: whole.optional(),
    num_hidden_layers: whole.optional(),
    num_attention_heads: whole.optional(),
    intermediate_size: whole.optional(),
    max_position_embeddings: whole.optional(),
    vocab_size: whole.optional(),
    type_vocab_size: whole.optional(),
    layer_norm_eps: z.number().positive().optional(),
    pad_token_id: whole.optional(),
    bos_token_id: whole.optional(),
    eos_token_id: whole.optional(),
    hidden_act: z.string().max(40).optional(),
  }),
  mttr: z.object({
    num_queries: whole.optional(),
    mask_kernels_dim: whole.optional(),
    d_model: whole.optional(),
    nheads: whole.optional(),
    num_encoder_layers: whole.optional(),
    num_decoder_layers: whole.optional(),
    dim_feedforward: whole.optional(),
  }),
};

/** `config.json` as `--architecture` takes it: the network, and optionally how its inputs are made. */
const configSchema = z.object({
  swin: architecturePart.swin.optional(),
  roberta: architecturePart.roberta.optional(),
  mttr: architecturePart.mttr.optional(),
  pixel_mean: z.tuple([z.number(), z.number(), z.number()]).optional(),
  pixel_std: z.tuple([z.number(), z.number(), z.number()]).optional(),
  window_length: whole.optional(),
  window_overlap: whole.optional(),
  short_side: whole.optional(),
  long_side: whole.optional(),
});

/** ModelScope's `configuration.json`: hyper-parameters of the network stand under `model`. */
const modelScopeSchema = z.object({ model: architecturePart.mttr });

export interface ArchitectureHints extends z.infer<typeof configSchema> {
  /** File they come from, for messages. */
  readonly source: string;
}

/** Reads `config.json`. Throws `RvosError` NOT_FOUND, or BAD_ARGUMENT naming what is wrong in it. */
export async function readArchitectureFile(path: string): Promise<ArchitectureHints> {
  return { ...(await readAs(path, configSchema)), source: path };
}

/** Reads the two files of a ModelScope folder that describe its network; either may be absent. */
export async function readModelScopeHints(configuration: string, robertaConfig: string): Promise<ArchitectureHints[]> {
  const hints: ArchitectureHints[] = [];
  if (await isFile(configuration)) {
    hints.push({ mttr: (await readAs(configuration, modelScopeSchema)).model, source: configuration });
  }
  if (await isFile(robertaConfig)) {
    hints.push({ roberta: await readAs(robertaConfig, architecturePart.roberta), source: robertaConfig });
  }
  return hints;
}

async function readAs<T>(path: string, schema: z.ZodType<T>): Promise<T> {
  let text: string;
  try {
    if ((await stat(path)).size > 2 ** 20) throw new Error('larger than a configuration');
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new RvosError('NOT_FOUND', `cannot read ${path}`, 'Check the path and its permissions.', { cause });
  }
  try {
    const parsed = schema.safeParse(JSON.parse(text));
    if (parsed.success) return parsed.data;
    const issue = parsed.error.issues[0];
    throw bad(`${path}: ${issue?.path.map(String).join('.').slice(0, 100) || 'contents'}: ${issue?.message}`);
  } catch (error) {
    throw error instanceof RvosError ? error : bad(`${path} is not JSON`, error);
  }
}

async function isFile(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

function bad(message: string, cause?: unknown): RvosError {
  return new RvosError('BAD_ARGUMENT', message, 'Give a config.json with the parts swin, roberta and mttr.', { cause });
}
