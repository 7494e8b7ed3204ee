import type { Dim, Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import type { FrameOutputs } from './frame-network.js';

/** The frames of a window as a graph knows them. */
export interface Frames {
  readonly size: Dim;
  /** int32 [1, T]: 0 … T − 1 */
  readonly times: Value;
  /** int64 [4]: the sizes [1, T, 1, k] */
  readonly kernelSizes: (k: number) => Value;
}

/**
 * Last step (model-spec §8.1): scores of the object queries averaged over the frames t < `frame_count`, the best of
 * them, and its kernels. Names the transformer's outputs.
 */
export function outputReferred(
  g: Operators,
  { kernels, referred, features }: FrameOutputs,
  inputs: { readonly frameCount: Value; readonly windowIndex: Value },
  frames: Frames,
): void {
  const [, , queries, k] = kernels.shape as readonly [Dim, Dim, number, number];
  const count = g.gather(inputs.frameCount, inputs.windowIndex, 0);
  const present = g.less(frames.times, g.reshape(count, [-1, 1], ['P', 1]));
  // Where, not Mul: frames beyond the clip may be NaN, and 0 · NaN is NaN.
  const mask = g.reshape(present, [0, 0, 1], ['P', frames.size, 1]);
  const counted = { ...g.where(mask, referred, g.scalar(0, 'float')), shape: referred.shape };
  const sum = g.node('ReduceSum', [counted, g.constant('int64', [1])], 'float', ['P', queries], { keepdims: 0 });
  const score = g.node('Div', [sum, g.cast(g.reshape(count, [-1, 1], ['P', 1]), 'float')], 'float', sum.shape);
  const query = g.node('ArgMax', [score], 'int64', ['P'], { axis: 1, keepdims: 0 });
  const chosenShape = ['P', frames.size, 1, k];
  const index = g.expand(g.reshape(query, [-1, 1, 1, 1], ['P', 1, 1, 1]), frames.kernelSizes(k), chosenShape);
  const chosen = g.node('GatherElements', [kernels, index], 'float', chosenShape, { axis: 2 });

  g.output('referred_score', score);
  g.output('query_index', g.cast(query, 'int32'));
  g.output('mask_kernels', g.reshape(chosen, [0, 0, k], ['P', frames.size, k]));
  g.output('all_mask_kernels', kernels);
  g.output('mask_features', features);
}
