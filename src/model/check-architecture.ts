import type { Architecture } from './architecture.js';

/** No network is this large (parameters): a guard against sizes that are each allowed but absurd together. */
const maxParameters = 4e9;

/**
 * What makes an architecture impossible, in words, or undefined if it is one that the network's definition allows.
 * The schema checks each number; this checks how they go together.
 */
export function architectureProblem({ swin, roberta, mttr }: Architecture): string | undefined {
  for (const [stage, heads] of swin.num_heads.entries()) {
    const width = swin.embed_dim * 2 ** stage;
    if (width % heads !== 0) return `stage ${stage} of the backbone has ${width} channels for ${heads} heads`;
  }
  if (swin.depths.length !== swin.num_heads.length) return 'swin.depths and swin.num_heads differ in length';
  if (roberta.hidden_size % roberta.num_attention_heads !== 0) {
    return `roberta.hidden_size ${roberta.hidden_size} is not a multiple of its ${roberta.num_attention_heads} heads`;
  }
  for (const name of ['pad_token_id', 'bos_token_id', 'eos_token_id'] as const) {
    if (roberta[name] >= roberta.vocab_size) return `roberta.${name} ${roberta[name]} is not in the vocabulary`;
  }
  if (maxTokensOf(roberta) < 2)
    return `roberta.max_position_embeddings ${roberta.max_position_embeddings} is too small`;
  // d_model/8 channels in 8 groups, the narrowest of the FPN decoder.
  if (mttr.d_model % 64 !== 0) return `mttr.d_model ${mttr.d_model} is not a multiple of 64`;
  if (mttr.d_model % mttr.nheads !== 0) {
    return `mttr.d_model ${mttr.d_model} is not a multiple of its ${mttr.nheads} heads`;
  }
  if (roughParameters({ swin, roberta, mttr }) > maxParameters) return 'the network has billions of parameters';
  return undefined;
}

/** Longest token sequence the position embeddings allow: positions count from pad_token_id + 1. */
export function maxTokensOf(roberta: Architecture['roberta']): number {
  return roberta.max_position_embeddings - roberta.pad_token_id - 1;
}

function roughParameters({ swin, roberta, mttr }: Architecture): number {
  const backbone = swin.depths.reduce((sum, depth, stage) => sum + depth * 12 * (swin.embed_dim * 2 ** stage) ** 2, 0);
  const bias = swin.window_size.reduce((product, size) => product * (2 * size - 1), Math.max(...swin.num_heads));
  const h = roberta.hidden_size;
  const text =
    (roberta.vocab_size + roberta.max_position_embeddings + roberta.type_vocab_size) * h +
    roberta.num_hidden_layers * (4 * h * h + 2 * h * roberta.intermediate_size);
  const d = mttr.d_model;
  const layers = mttr.num_encoder_layers + 2 * mttr.num_decoder_layers;
  const transformer = layers * (4 * d * d + 2 * d * mttr.dim_feedforward) + 15 * d * d + mttr.num_queries * d;
  return backbone + bias * Math.max(...swin.depths) + text + transformer;
}
