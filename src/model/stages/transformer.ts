import type { ClipSize } from '../clip-size.js';
import type { Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import { FrameNetwork, type FrameOutputs } from './frame-network.js';
import { outputReferred } from './referred-query.js';
import { graphOptions, levelSizes, type StageOptions } from './stage-options.js';

/**
 * Multimodal transformer, spatial decoder and heads (MTTR §3.2; model-spec §4–§8.1). B windows of T frames, P sentences,
 * each looking at window `window_index`:
 * `level0..2` float [B, T, C·2^i, h_i, w_i], `frame_count` int32 [B], `text_features` float [P, S, D],
 * `attention_mask` int64 [P, S], `window_index` int32 [P] →
 * `referred_score` float [P, N], `query_index` int32 [P], `mask_kernels` float [P, T, K], `all_mask_kernels` float
 * [P, T, N, K], `mask_features` float [P, T, K, h0, w0].
 *
 * Frames are independent here: ONNX Runtime takes them one by one in a Scan, so that memory does not grow with T.
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

  const network = new FrameNetwork(options, sizes, { text, attentionMask });
  const outputs = scanFrames(g, network, levels, windowIndex, frames);
  const times = g.constant(
    'int32',
    Array.from({ length: frames }, (_, t) => t),
    [1, frames],
  );
  const kernelSizes = (k: number) => g.constant('int64', [1, frames, 1, k]);
  outputReferred(g, outputs, { frameCount, windowIndex }, { size: frames, times, kernelSizes });
  return g.build();
}

/** Runs the network frame by frame: T iterations of a Scan whose body sees one frame of every window. */
function scanFrames(
  g: Operators,
  network: FrameNetwork,
  levels: Value[],
  windowIndex: Value,
  frames: number,
): FrameOutputs {
  const shared = network.prepare(g);
  const body = new Operators(g);
  const t = body.input('frame_index', 'int32', []);
  const outputs = network.run(
    body,
    levels.map((level) => body.gather(level, t, 1)),
    shared,
    'P',
    (x) => body.gather(x, windowIndex, 0),
  );
  const order = ['kernels', 'referred', 'features'] as const;
  for (const name of order) body.output(`frame_${name}`, body.cast(outputs[name], 'float'));
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
