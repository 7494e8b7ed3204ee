import type { Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import { paddingMask, projectedAttention } from './attention.js';
import { sinePosition } from './sine-position.js';
import { spatialDecoder } from './spatial-decoder.js';
import { type ClipSize, graphOptions, levelSizes, type StageOptions } from './stage-options.js';

/**
 * Multimodal transformer, spatial decoder and heads (MTTR §3.2; model-spec §4–§8.1). B windows of T frames, P sentences,
 * each looking at window `window_index`:
 * `level0..2` float [B, T, C·2^i, h_i, w_i], `frame_count` int32 [B], `text_features` float [P, S, D],
 * `attention_mask` int64 [P, S], `window_index` int32 [P] →
 * `referred_score` float [P, N], `query_index` int32 [P], `mask_kernels` float [P, T, K], `all_mask_kernels` float
 * [P, T, N, K], `mask_features` float [P, T, K, h0, w0].
 *
 * Frames are independent here. ONNX Runtime takes them one by one in a Scan, so that memory does not grow with T;
 * TensorRT takes all at once.
 */
export function transformerGraph(options: StageOptions, clip: ClipSize): Uint8Array {
  const g = new Operators(graphOptions('transformer', options));
  const { swin, mttr } = options.architecture;
  const { frames } = clip;
  const sizes = levelSizes(clip.height, clip.width);
  const levels = sizes.map(([h, w], i) => g.input(`level${i}`, 'float', ['B', frames, swin.embed_dim << i, h, w]));
  const frameCount = g.input('frame_count', 'int32', ['B']);
  const text = g.cast(g.input('text_features', 'float', ['P', 'S', mttr.d_model]), g.computeType);
  const attentionMask = g.input('attention_mask', 'int64', ['P', 'S']);
  const windowIndex = g.input('window_index', 'int32', ['P']);

  const network = new FrameNetwork(options, sizes, { text, attentionMask, windowIndex });
  const { kernels, referred, features } =
    options.target === 'onnxruntime' ? scanFrames(g, network, levels, frames) : network.batch(g, levels, frames);

  const time = g.constant(
    'int32',
    Array.from({ length: frames }, (_, t) => t),
    [1, frames],
  );
  const count = g.gather(frameCount, windowIndex, 0);
  const present = g.cast(g.less(time, g.reshape(count, [-1, 1], ['P', 1])), 'float');
  const weighted = g.mul(referred, g.reshape(present, [0, 0, 1], ['P', frames, 1]));
  const sum = g.node('ReduceSum', [weighted, g.constant('int64', [1])], 'float', ['P', mttr.num_queries], {
    keepdims: 0,
  });
  const score = g.node('Div', [sum, g.cast(g.reshape(count, [-1, 1], ['P', 1]), 'float')], 'float', sum.shape);
  const query = g.node('ArgMax', [score], 'int64', ['P'], { axis: 1, keepdims: 0 });
  const k = mttr.mask_kernels_dim;
  const index = g.expand(g.reshape(query, [-1, 1, 1, 1], ['P', 1, 1, 1]), g.constant('int64', [1, frames, 1, k]), [
    'P',
    frames,
    1,
    k,
  ]);
  const chosen = g.node('GatherElements', [kernels, index], 'float', ['P', frames, 1, k], { axis: 2 });

  g.output('referred_score', score);
  g.output('query_index', g.cast(query, 'int32'));
  g.output('mask_kernels', g.reshape(chosen, [0, 0, k], ['P', frames, k]));
  g.output('all_mask_kernels', kernels);
  g.output('mask_features', features);
  return g.build();
}

interface FrameOutputs {
  /** [P, T, N, K] */
  readonly kernels: Value;
  /** Probability that an object query is the one referred to, [P, T, N]. */
  readonly referred: Value;
  /** [P, T, K, h0, w0] */
  readonly features: Value;
}

/** Runs the network frame by frame: T iterations of a Scan whose body sees one frame of every window. */
function scanFrames(g: Operators, network: FrameNetwork, levels: Value[], frames: number): FrameOutputs {
  const shared = network.prepare(g);
  const body = new Operators(g);
  const t = body.input('frame_index', 'int32', []);
  const outputs = network.run(
    body,
    levels.map((level) => body.gather(level, t, 1)),
    shared,
    'P',
  );
  const order = ['kernels', 'referred', 'features'] as const;
  for (const name of order) body.output(`frame_${name}`, outputs[name]);
  const indices = g.constant(
    'int32',
    Array.from({ length: frames }, (_, i) => i),
  );
  const stacked = g.nodeWithOutputs(
    'Scan',
    [indices],
    order.map((name) => ({ type: 'float', shape: [frames, ...outputs[name].shape] })),
    { num_scan_inputs: 1, body: { graph: body.body() } },
  );
  const [kernels, referred, features] = stacked.map((x) =>
    g.transpose(
      x,
      x.shape.map((_, i) => (i < 2 ? 1 - i : i)),
    ),
  );
  return { kernels: kernels!, referred: referred!, features: features! };
}

interface Shared {
  /** [n, S, D] */
  readonly text: Value;
  /** [1, h2·w2 + S, D] */
  readonly position: Value;
  /** float [n, 1, 1, h2·w2 + S] */
  readonly mask: Value;
}

/** What happens to one frame: n stands for the sentences (or sentences × frames) that are worked on together. */
class FrameNetwork {
  constructor(
    private readonly options: StageOptions,
    private readonly sizes: [number, number][],
    private readonly inputs: { text: Value; attentionMask: Value; windowIndex: Value },
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

  /** All frames at once, n = P·T. */
  batch(g: Operators, levels: Value[], frames: number): FrameOutputs {
    const shared = this.prepare(g);
    const repeat = (x: Value) => {
      const [p, ...rest] = x.shape;
      const sizes = g.concat([g.constant('int64', [1, frames]), ...rest.map((_, i) => g.sizeOf(x, i + 1))], 0);
      const repeated = g.expand(g.unsqueeze(x, 1), sizes, [p!, frames, ...rest]);
      return this.mergeAxes(g, repeated, 'P*T');
    };
    const flat = levels.map((level) => this.mergeAxes(g, level, 'B*T'));
    const perFrame = { text: repeat(shared.text), mask: repeat(shared.mask), position: shared.position };
    const outputs = this.run(g, flat, perFrame, 'P*T', frames);
    const apart = (x: Value) => {
      const rest = x.shape.slice(1) as number[];
      return g.reshape(x, [-1, frames, ...rest], ['P', frames, ...rest]);
    };
    return { kernels: apart(outputs.kernels), referred: apart(outputs.referred), features: apart(outputs.features) };
  }

  /** levels [m, C, h, w] of m frames → kernels [n, N, K], referred [n, N], features [n, K, h0, w0], all FP32. */
  run(g: Operators, levels: Value[], shared: Shared, n: string, frames = 1): FrameOutputs {
    const d = this.config.d_model;
    const [h, w] = this.sizes[2]!;
    const [level0, level1, level2] = levels.map((level) => g.cast(level, g.computeType));
    // What does not depend on the sentence comes before frames are repeated for each sentence.
    const video = g.conv(level2!, 'vid_embed_proj', 0);
    const tokens = g.transpose(g.reshape(video, [0, d, h * w], [video.shape[0]!, d, h * w]), [0, 2, 1]);
    const pick = (x: Value) => this.forSentences(g, x, n, frames);

    let x = g.concat([pick(tokens), shared.text], 1);
    for (let i = 0; i < this.config.num_encoder_layers; i++) x = this.encoderLayer(g, x, shared, i);
    const memory = x;

    const videoMemory = { ...g.slice(memory, 1, 0, h * w), shape: [n, h * w, d] };
    const map = g.reshape(g.transpose(videoMemory, [0, 2, 1]), [0, d, h, w], [n, d, h, w]);
    const adapted1 = pick(g.conv(level1!, 'spatial_decoder.adapter1', 0));
    const adapted0 = pick(g.conv(level0!, 'spatial_decoder.adapter2', 0));
    const features = spatialDecoder(g, map, adapted1, adapted0);

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
    return { kernels: g.cast(kernels, 'float'), referred, features: g.cast(features, 'float') };
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

  /** [m, …] of the windows' frames → [n, …] of the sentences'. */
  private forSentences(g: Operators, x: Value, n: string, frames: number): Value {
    const rest = x.shape.slice(1) as number[];
    const { windowIndex } = this.inputs;
    if (frames === 1) return { ...g.gather(x, windowIndex, 0), shape: [n, ...rest] };
    const windows = g.reshape(x, [-1, frames, ...rest], ['B', frames, ...rest]);
    return this.mergeAxes(g, g.gather(windows, windowIndex, 0), n);
  }

  private mergeAxes(g: Operators, x: Value, name: string): Value {
    const rest = x.shape.slice(2);
    const sizes = rest.filter((s) => typeof s === 'string').length > 0 ? undefined : (rest as number[]);
    if (sizes) return g.reshape(x, [-1, ...sizes], [name, ...rest]);
    // One axis of unknown size besides the merged one: it is read from the tensor.
    const target = g.concat([g.constant('int64', [-1]), ...rest.map((_, i) => g.sizeOf(x, i + 2))], 0);
    return g.node('Reshape', [x, target], x.type, [name, ...rest]);
  }
}
