import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { paddingMask, projectedAttention } from './attention.js';
import { sinePosition } from './sine-position.js';
import { spatialDecoder } from './spatial-decoder.js';
import type { StageOptions } from './stage-options.js';

export interface FrameOutputs {
  /** [n, N, K], or [P, T, N, K] of all frames */
  readonly kernels: Value;
  /** Probability that an object query is the one referred to, [n, N] or [P, T, N]. */
  readonly referred: Value;
  /** [n, K, h0, w0] or [P, T, K, h0, w0] */
  readonly features: Value;
}

export interface Shared {
  /** [n, S, D] */
  readonly text: Value;
  /** [1, h2·w2 + S, D] */
  readonly position: Value;
  /** float [n, 1, 1, h2·w2 + S] */
  readonly mask: Value;
}

/** What happens to one frame: n stands for the sentences (or sentences × frames) that are worked on together. */
export class FrameNetwork {
  constructor(
    private readonly options: StageOptions,
    private readonly sizes: [number, number][],
    private readonly inputs: { text: Value; attentionMask: Value },
  ) {}

  private get config() {
    return this.options.architecture.mttr;
  }

  /** Computed once whatever the number of frames. */
  prepare(g: Operators): Shared {
    const { text, attentionMask } = this.inputs;
    const [h, w] = this.sizes[2]!;
    const d = this.config.d_model;
    const half = d / 2;
    const vertical = g.expand(
      g.constant('float', sinePosition(h, half), [h, 1, half]),
      g.constant('int64', [h, w, half]),
      [h, w, half],
    );
    const horizontal = g.expand(
      g.constant('float', sinePosition(w, half), [1, w, half]),
      g.constant('int64', [h, w, half]),
      [h, w, half],
    );
    const video = g.cast(g.reshape(g.concat([vertical, horizontal], 2), [1, h * w, d]), g.computeType);
    const textSize = g.concat([g.constant('int64', [1]), g.sizeOf(text, 1), g.constant('int64', [d])], 0);
    const position = g.concat([video, g.expand(g.scalar(0), textSize, [1, 'S', d])], 1);
    const videoMaskSize = g.concat([g.sizeOf(text, 0), g.constant('int64', [h * w])], 0);
    const videoMask = g.expand(g.scalar(0, 'float'), videoMaskSize, ['P', h * w]);
    const mask = g.concat([videoMask, paddingMask(g, attentionMask)], 1);
    return { text, position, mask: g.reshape(mask, [0, 1, 1, -1], ['P', 1, 1, mask.shape[1]!]) };
  }

  /**
   * levels [m, C, h, w] ([m, h·w, C] for OpenVINO) of m frames → kernels [n, N, K] and referred [n, N] in FP32, features [n, K, h0, w0] in the
   * graph's type. `pick` repeats what belongs to frames, [m, …], for each sentence that looks at them, [n, …].
   */
  run(g: Operators, levels: Value[], shared: Shared, n: string, pick: (x: Value) => Value): FrameOutputs {
    const d = this.config.d_model;
    const [h, w] = this.sizes[2]!;
    const [level0, level1, level2] = levels.map((level) => g.cast(level, g.computeType));
    // What does not depend on the sentence comes before frames are repeated for each sentence.
    let x = g.concat([pick(this.videoTokens(g, level2!)), shared.text], 1);
    for (let i = 0; i < this.config.num_encoder_layers; i++) x = this.encoderLayer(g, x, shared, i);
    const memory = x;

    const videoMemory = { ...g.slice(memory, 1, 0, h * w), shape: [n, h * w, d] };
    const map = g.reshape(g.transpose(videoMemory, [0, 2, 1]), [0, d, h, w], [n, d, h, w]);
    const adapted1 = this.adapted(g, level1!, this.sizes[1]!, 'spatial_decoder.adapter1', pick);
    const adapted0 = this.adapted(g, level0!, this.sizes[0]!, 'spatial_decoder.adapter2', pick);
    const features = spatialDecoder(g, this.options.target, map, adapted1, adapted0);

    const queries = this.decode(g, memory, shared, n);
    const hidden = g.relu(g.linear(queries, 'instance_kernels_head.layers.0'));
    const kernels = g.linear(hidden, 'instance_kernels_head.layers.1');
    const logits = g.linear(queries, 'is_referred_head');
    const probabilities = g.softmax(g.cast(logits, 'float'));
    const referred = g.reshape(
      g.slice(probabilities, 2, 0, 1),
      [0, this.config.num_queries],
      [n, this.config.num_queries],
    );
    return { kernels: g.cast(kernels, 'float'), referred, features };
  }

  /** level2 → tokens [m, h·w, D] */
  private videoTokens(g: Operators, x: Value): Value {
    if (this.options.target === 'openvino') return rowProduct(g, x, 'vid_embed_proj');
    if (this.options.target === 'tensorrt') return pixelProduct(g, x, 'vid_embed_proj');
    const video = g.conv(x, 'vid_embed_proj', 0);
    const [m, d, h, w] = video.shape as readonly [string, number, number, number];
    return g.transpose(g.reshape(video, [0, d, h * w], [m, d, h * w]), [0, 2, 1]);
  }

  /** A level of h × w pixels through an adapter of the spatial decoder, for each sentence: [n, d, h, w]. */
  private adapted(
    g: Operators,
    x: Value,
    [h, w]: readonly [number, number],
    name: string,
    pick: (x: Value) => Value,
  ): Value {
    if (this.options.target === 'onnxruntime') return pick(g.conv(x, name, 0));
    const y = pick(this.options.target === 'openvino' ? rowProduct(g, x, name) : pixelProduct(g, x, name));
    const [n, , d] = y.shape as readonly [string, number, number];
    return g.transpose(g.reshape(y, [-1, h, w, d], [n, h, w, d]), [0, 3, 1, 2]);
  }

  /** Post-norm layer (model-spec §4): the position is added to queries and keys, never to values. */
  private encoderLayer(g: Operators, x: Value, { position, mask }: Shared, i: number): Value {
    const name = `transformer.encoder.layers.${i}`;
    const placed = { ...g.add(x, position), shape: x.shape };
    const inputs = { query: placed, key: placed, value: x };
    const attended = projectedAttention(g, this.options.target, `${name}.self_attn`, inputs, this.config.nheads, mask);
    const y = g.layerNorm(g.add(x, attended), `${name}.norm1`);
    return g.layerNorm(g.add(y, this.feedForward(g, y, name)), `${name}.norm2`);
  }

  /** Object queries [n, N, D] after the last layer and the shared norm (model-spec §5). */
  private decode(g: Operators, memory: Value, { position, mask }: Shared, n: string): Value {
    const { d_model: d, num_queries: count, nheads } = this.config;
    const target = this.options.target;
    const queryPosition = g.unsqueeze(g.weight('obj_queries.weight'), 0);
    const size = g.concat([g.sizeOf(memory, 0), g.constant('int64', [count, d])], 0);
    const keys = { ...g.add(memory, position), shape: memory.shape };
    let x = g.expand(g.scalar(0), size, [n, count, d]);
    for (let i = 0; i < this.config.num_decoder_layers; i++) {
      const name = `transformer.decoder.layers.${i}`;
      const placed = g.add(x, queryPosition);
      const self = projectedAttention(g, target, `${name}.self_attn`, { query: placed, key: placed, value: x }, nheads);
      x = g.layerNorm(g.add(x, self), `${name}.norm1`);
      const cross = { query: g.add(x, queryPosition), key: keys, value: memory };
      x = g.layerNorm(
        g.add(x, projectedAttention(g, target, `${name}.multihead_attn`, cross, nheads, mask)),
        `${name}.norm2`,
      );
      x = g.layerNorm(g.add(x, this.feedForward(g, x, name)), `${name}.norm3`);
    }
    return g.layerNorm(x, 'transformer.decoder.norm');
  }

  private feedForward(g: Operators, x: Value, name: string): Value {
    return g.linear(g.relu(g.linear(x, `${name}.linear1`)), `${name}.linear2`);
  }
}

/**
 * 1×1 convolution of x [m, c, h, w] as a product, [m, h·w, d]. The transpose before it becomes a way of reading x; a
 * convolution would be given copies of its input and output in other layouts.
 */
function pixelProduct(g: Operators, x: Value, name: string): Value {
  const [m, c, h, w] = x.shape as readonly [string, number, number, number];
  return rowProduct(g, g.transpose(g.reshape(x, [-1, c, h * w], [m, c, h * w]), [0, 2, 1]), name);
}

/** The same of pixels in rows: [m, pixels, c] → [m, pixels, d]. */
function rowProduct(g: Operators, x: Value, name: string): Value {
  const kernel = g.weight(`${name}.weight`);
  const [d, c] = kernel.shape as readonly [number, number];
  return g.product(x, g.transpose(g.reshape(kernel, [d, c]), [1, 0]), g.weight(`${name}.bias`));
}
