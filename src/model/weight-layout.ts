import type { Architecture, Precision } from './architecture.js';

/**
 * `weights.bin` is a plain concatenation of tensors in the order of this file, each at a multiple of 64 bytes. A tensor
 * is a published parameter as it is, or cut in rows and transposed, so that graphs use it without a node in between:
 * matrices of linear layers stand as [in, out], and fused q/k/v projections are apart.
 */
export interface WeightEntry {
  /** Name in graphs. */
  readonly name: string;
  /** Shape as stored. */
  readonly shape: readonly number[];
  /** Published parameter name and the shape it must have. */
  readonly from: string;
  readonly fromShape: readonly number[];
  /** Slice [start, end) of the source's axis 0. */
  readonly rows?: readonly [number, number];
  /** After the slice: flatten all axes but the first, then store the transpose. */
  readonly transpose?: boolean;
}

class Layout {
  readonly entries: WeightEntry[] = [];

  plain(name: string, ...shape: number[]): void {
    this.entries.push({ name, shape, from: name, fromShape: shape });
  }

  norm(name: string, width: number): void {
    this.plain(`${name}.weight`, width);
    this.plain(`${name}.bias`, width);
  }

  /** Matrix [out, in, ...ones or patch axes] stored [in, out]. */
  matrix(name: string, out: number, inner: number, fromShape: readonly number[] = [out, inner]): void {
    this.entries.push({ name, shape: [inner, out], from: name, fromShape, transpose: true });
  }

  linear(name: string, out: number, inner: number, fromShape?: readonly number[]): void {
    this.matrix(`${name}.weight`, out, inner, fromShape);
    this.plain(`${name}.bias`, out);
  }

  conv(name: string, out: number, inner: number, kernel: number): void {
    this.plain(`${name}.weight`, out, inner, kernel, kernel);
    this.plain(`${name}.bias`, out);
  }

  /** One matrix [3·width, width] with rows q, k, v. */
  qkv(weight: string, bias: string, width: number): void {
    ['q', 'k', 'v'].forEach((part, i) => {
      const rows = [i * width, (i + 1) * width] as const;
      const w = { from: weight, fromShape: [3 * width, width], rows, transpose: true };
      this.entries.push({ name: `${weight}.${part}`, shape: [width, width], ...w });
      this.entries.push({ name: `${bias}.${part}`, shape: [width], from: bias, fromShape: [3 * width], rows });
    });
  }

  multiheadAttention(name: string, width: number): void {
    this.qkv(`${name}.in_proj_weight`, `${name}.in_proj_bias`, width);
    this.linear(`${name}.out_proj`, width, width);
  }
}

/** Every tensor of `weights.bin`, in canonical order. */
export function weightLayout(architecture: Architecture): readonly WeightEntry[] {
  const layout = new Layout();
  backbone(layout, architecture);
  textEncoder(layout, architecture);
  transformer(layout, architecture);
  return layout.entries;
}

function backbone(layout: Layout, { swin }: Architecture): void {
  const [pt, ph, pw] = swin.patch_size;
  const [wt, wh, ww] = swin.window_size;
  const positions = (2 * wt - 1) * (2 * wh - 1) * (2 * ww - 1);
  layout.linear('backbone.patch_embed.proj', swin.embed_dim, 3 * pt * ph * pw, [swin.embed_dim, 3, pt, ph, pw]);
  layout.norm('backbone.patch_embed.norm', swin.embed_dim);
  swin.depths.forEach((depth, stage) => {
    const width = swin.embed_dim << stage;
    for (let j = 0; j < depth; j++) {
      const block = `backbone.layers.${stage}.blocks.${j}`;
      layout.norm(`${block}.norm1`, width);
      layout.plain(`${block}.attn.relative_position_bias_table`, positions, swin.num_heads[stage]);
      layout.qkv(`${block}.attn.qkv.weight`, `${block}.attn.qkv.bias`, width);
      layout.linear(`${block}.attn.proj`, width, width);
      layout.norm(`${block}.norm2`, width);
      layout.linear(`${block}.mlp.fc1`, 4 * width, width);
      layout.linear(`${block}.mlp.fc2`, width, 4 * width);
    }
    if (stage + 1 < swin.depths.length) {
      layout.norm(`backbone.downsamples.${stage}.norm`, 4 * width);
      layout.matrix(`backbone.downsamples.${stage}.reduction.weight`, 2 * width, 4 * width);
    }
  });
}

function textEncoder(layout: Layout, { roberta, mttr }: Architecture): void {
  const root = 'transformer.text_encoder';
  const width = roberta.hidden_size;
  layout.plain(`${root}.embeddings.word_embeddings.weight`, roberta.vocab_size, width);
  layout.plain(`${root}.embeddings.position_embeddings.weight`, roberta.max_position_embeddings, width);
  layout.plain(`${root}.embeddings.token_type_embeddings.weight`, roberta.type_vocab_size, width);
  layout.norm(`${root}.embeddings.LayerNorm`, width);
  for (let i = 0; i < roberta.num_hidden_layers; i++) {
    const layer = `${root}.encoder.layer.${i}`;
    for (const part of ['query', 'key', 'value']) layout.linear(`${layer}.attention.self.${part}`, width, width);
    layout.linear(`${layer}.attention.output.dense`, width, width);
    layout.norm(`${layer}.attention.output.LayerNorm`, width);
    layout.linear(`${layer}.intermediate.dense`, roberta.intermediate_size, width);
    layout.linear(`${layer}.output.dense`, width, roberta.intermediate_size);
    layout.norm(`${layer}.output.LayerNorm`, width);
  }
  layout.linear('transformer.txt_proj.fc', mttr.d_model, width);
  layout.norm('transformer.txt_proj.layer_norm', mttr.d_model);
}

function transformer(layout: Layout, { swin, mttr }: Architecture): void {
  const d = mttr.d_model;
  const top = swin.embed_dim << 2;
  layout.conv('vid_embed_proj', d, top, 1);
  for (let i = 0; i < mttr.num_encoder_layers; i++) {
    const layer = `transformer.encoder.layers.${i}`;
    layout.multiheadAttention(`${layer}.self_attn`, d);
    layout.norm(`${layer}.norm1`, d);
    layout.linear(`${layer}.linear1`, mttr.dim_feedforward, d);
    layout.linear(`${layer}.linear2`, d, mttr.dim_feedforward);
    layout.norm(`${layer}.norm2`, d);
  }
  layout.plain('obj_queries.weight', mttr.num_queries, d);
  for (let i = 0; i < mttr.num_decoder_layers; i++) {
    const layer = `transformer.decoder.layers.${i}`;
    layout.multiheadAttention(`${layer}.self_attn`, d);
    layout.norm(`${layer}.norm1`, d);
    layout.multiheadAttention(`${layer}.multihead_attn`, d);
    layout.norm(`${layer}.norm2`, d);
    layout.linear(`${layer}.linear1`, mttr.dim_feedforward, d);
    layout.linear(`${layer}.linear2`, d, mttr.dim_feedforward);
    layout.norm(`${layer}.norm3`, d);
  }
  layout.norm('transformer.decoder.norm', d);
  const widths = [d, d, d / 2, d / 4, d / 8];
  for (let i = 1; i <= 4; i++) {
    layout.conv(`spatial_decoder.lay${i}`, widths[i]!, widths[i - 1]!, 3);
    layout.norm(`spatial_decoder.gn${i}`, widths[i]!);
  }
  layout.conv('spatial_decoder.adapter1', d / 2, top / 2, 1);
  layout.conv('spatial_decoder.adapter2', d / 4, top / 4, 1);
  layout.conv('spatial_decoder.out_lay', mttr.mask_kernels_dim, d / 8, 3);
  layout.linear('instance_kernels_head.layers.0', d, d);
  layout.linear('instance_kernels_head.layers.1', mttr.mask_kernels_dim, d);
  layout.linear('is_referred_head', 2, d);
}

/** Published parameter name → shape: all that a checkpoint must hold. */
export function expectedParameters(architecture: Architecture): ReadonlyMap<string, readonly number[]> {
  return new Map(weightLayout(architecture).map((entry) => [entry.from, entry.fromShape]));
}

/** Buffers that checkpoints carry and that follow from the architecture. */
export function ignoredParameter(name: string): boolean {
  return /(^|\.)(relative_position_index|position_ids|token_type_ids)$/.test(name);
}

export interface WeightLocation {
  /** Bytes from the start of `weights.bin`. */
  readonly offset: number;
  readonly length: number;
  readonly shape: readonly number[];
}

const alignment = 64;

/** Where each tensor stands in `weights.bin`. */
export function weightOffsets(
  architecture: Architecture,
  precision: Precision,
): { entries: ReadonlyMap<string, WeightLocation>; totalBytes: number } {
  const elementSize = precision === 'fp16' ? 2 : 4;
  const entries = new Map<string, WeightLocation>();
  let offset = 0;
  for (const { name, shape } of weightLayout(architecture)) {
    offset = Math.ceil(offset / alignment) * alignment;
    const length = shape.reduce((a, b) => a * b, elementSize);
    entries.set(name, { offset, length, shape });
    offset += length;
  }
  return { entries, totalBytes: offset };
}
