import { z } from 'zod';

const positive = z
  .number()
  .int()
  .positive()
  .max(1 << 20);

/**
 * Hyper-parameters of one MTTR network, by the names of its original configuration (model-spec §0). `swin.depths` and
 * `swin.num_heads` list the stages that exist: three.
 */
export interface Architecture {
  /** The backbone, Video Swin. Sizes of windows and patches are [frames, rows, columns]. */
  swin: {
    embed_dim: number;
    depths: number[];
    num_heads: number[];
    window_size: [number, number, number];
    patch_size: [1, 4, 4];
  };
  /** The text encoder. */
  roberta: {
    hidden_size: number;
    num_hidden_layers: number;
    num_attention_heads: number;
    intermediate_size: number;
    max_position_embeddings: number;
    vocab_size: number;
    type_vocab_size: number;
    layer_norm_eps: number;
    pad_token_id: number;
    bos_token_id: number;
    eos_token_id: number;
    hidden_act: 'gelu';
  };
  /** The multimodal transformer and the mask head. */
  mttr: {
    num_queries: number;
    mask_kernels_dim: number;
    d_model: number;
    nheads: number;
    num_encoder_layers: number;
    num_decoder_layers: number;
    dim_feedforward: number;
  };
}

/**
 * The same as files state it. A fourth stage of Swin is accepted and dropped, because the original constructs it and
 * discards it.
 * @internal
 */
export const architectureSchema = z.object({
  swin: z.object({
    embed_dim: positive,
    depths: z
      .array(positive)
      .min(3)
      .max(4)
      .transform((d) => d.slice(0, 3)),
    num_heads: z
      .array(positive)
      .min(3)
      .max(4)
      .transform((d) => d.slice(0, 3)),
    window_size: z.tuple([positive, positive, positive]).default([8, 7, 7]),
    patch_size: z.tuple([z.literal(1), z.literal(4), z.literal(4)]).default([1, 4, 4]),
  }),
  roberta: z.object({
    hidden_size: positive,
    num_hidden_layers: positive,
    num_attention_heads: positive,
    intermediate_size: positive,
    max_position_embeddings: positive.default(514),
    vocab_size: positive,
    type_vocab_size: positive.default(1),
    layer_norm_eps: z.number().positive().default(1e-5),
    pad_token_id: z.number().int().nonnegative().default(1),
    bos_token_id: z.number().int().nonnegative().default(0),
    eos_token_id: z.number().int().nonnegative().default(2),
    hidden_act: z.literal('gelu').default('gelu'),
  }),
  mttr: z.object({
    num_queries: positive,
    mask_kernels_dim: positive,
    d_model: positive,
    nheads: positive,
    num_encoder_layers: positive,
    num_decoder_layers: positive,
    dim_feedforward: positive,
  }),
}) satisfies z.ZodType<Architecture>;

/** Stages of the network, in the order data passes them. */
export const stageNames = ['backbone', 'text-encoder', 'transformer'] as const;
export type StageName = (typeof stageNames)[number];

/** How weights are stored in `weights.bin`. */
export type Precision = 'fp32' | 'fp16';
