import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { biasCodes, type Triple } from './window-grid.js';

/**
 * Bias of one block, [1, heads, n, n] in the graph's type; the index into its table is computed, never stored (model-spec §2).
 * `zero` (int32 scalar, see `runtimeZero`) keeps it from being folded into a constant.
 */
export function relativePositionBias(
  g: Operators,
  block: string,
  positions: number,
  fullWindow: Triple,
  zero?: Value,
): Value {
  const { codes, centre } = biasCodes(fullWindow, positions);
  const columns = g.constant(
    'int32',
    codes.map((c) => c + centre),
    [positions, 1],
  );
  const row = zero ? g.add(columns, zero) : columns;
  const index = g.sub(row, g.constant('int32', codes, [1, positions]));
  const bias = g.gather(g.weight(`${block}.attn.relative_position_bias_table`), index, 0);
  return g.unsqueeze(g.transpose(bias, [2, 0, 1]), 0);
}

/**
 * An int32 0 that no optimiser sees through. Biases and masks that depend on it are made when a block runs and freed
 * after it; folded, those of all blocks together would stay in memory: 250 MB in the published network.
 */
export function runtimeZero(g: Operators, input: Value): Value {
  let x = input;
  input.shape.forEach((_, axis) => {
    x = g.slice(x, axis, 0, 1);
  });
  return g.reshape(g.cast(g.less(x, x), 'int32'), [1]);
}
