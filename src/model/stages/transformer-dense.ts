import type { FrameSize } from '../clip-size.js';
import type { Dim, Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import { FrameNetwork, type FrameOutputs } from './frame-network.js';
import { outputReferred } from './referred-query.js';
import { graphOptions, levelSizes, type StageOptions } from './stage-options.js';

/**
 * The transformer for TensorRT and OpenVINO: any number of frames T, all at once. Inputs and outputs are those of
 * `transformerGraph`, but that `level0..2` and `mask_features` are of the graph's compute type (float16 in the FP16 form),
 * and that levels for OpenVINO are [B, T, h_i·w_i, C·2^i].
 */
export function denseTransformerGraph(options: StageOptions, size: FrameSize): Uint8Array {
  const g = new Operators(graphOptions('transformer', options));
  const { swin, mttr } = options.architecture;
  const sizes = levelSizes(size.height, size.width);
  const levels = sizes.map(([h, w], i) => {
    const channels = swin.embed_dim << i;
    const pixels = options.target === 'openvino' ? [h * w, channels] : [channels, h, w];
    return g.input(`level${i}`, g.computeType, ['B', 'T', ...pixels]);
  });
  const frameCount = g.input('frame_count', 'int32', ['B']);
  const text = g.cast(g.input('text_features', 'float', ['P', 'S', mttr.d_model]), g.computeType);
  const attentionMask = g.input('attention_mask', 'int64', ['P', 'S']);
  const windowIndex = g.input('window_index', 'int32', ['P']);

  const frames = g.sizeOf(levels[2]!, 1);
  const network = new FrameNetwork(options, sizes, { text, attentionMask });
  const outputs = allFrames(g, network, levels, windowIndex, frames);
  const one = g.constant('int64', [1]);
  const count = g.cast(g.gather(frames, g.constant('int64', [0], []), 0), 'int32');
  const times = g.node('Range', [g.scalar(0, 'int32'), count, g.scalar(1, 'int32')], 'int32', ['T']);
  outputReferred(
    g,
    outputs,
    { frameCount, windowIndex },
    {
      size: 'T',
      times: g.unsqueeze(times, 0),
      kernelSizes: (k) => g.concat([one, frames, one, g.constant('int64', [k])], 0),
    },
  );
  return g.build();
}

/** The network on n = P·T frames: what does not depend on the sentence is worked out once per window, before. */
function allFrames(
  g: Operators,
  network: FrameNetwork,
  levels: Value[],
  windowIndex: Value,
  frames: Value,
): FrameOutputs {
  const n = 'P*T';
  const free = g.constant('int64', [-1]);
  const merge = (x: Value, name: string): Value => {
    const rest = x.shape.slice(2);
    if (rest.every((s) => typeof s === 'number')) return g.reshape(x, [-1, ...rest], [name, ...rest]);
    const sizes = g.concat([free, ...rest.map((_, i) => g.sizeOf(x, i + 2))], 0);
    return g.node('Reshape', [x, sizes], x.type, [name, ...rest]);
  };
  const apart = (x: Value, name: Dim): Value => {
    const rest = x.shape.slice(1) as number[];
    const sizes = g.concat([free, frames, g.constant('int64', rest)], 0);
    return g.node('Reshape', [x, sizes], x.type, [name, 'T', ...rest]);
  };
  const repeat = (x: Value): Value => {
    const rest = x.shape.slice(1);
    const sizes = g.concat([g.constant('int64', [1]), frames, ...rest.map((_, i) => g.sizeOf(x, i + 1))], 0);
    return merge(g.expand(g.unsqueeze(x, 1), sizes, [x.shape[0]!, 'T', ...rest]), n);
  };
  const shared = network.prepare(g);
  const perFrame = { text: repeat(shared.text), mask: repeat(shared.mask), position: shared.position };
  const pick = (x: Value) => merge(g.gather(apart(x, 'B'), windowIndex, 0), n);
  const flat = levels.map((level) => merge(level, 'B*T'));
  const { kernels, referred, features } = network.run(g, flat, perFrame, n, pick);
  return { kernels: apart(kernels, 'P'), referred: apart(referred, 'P'), features: apart(features, 'P') };
}
