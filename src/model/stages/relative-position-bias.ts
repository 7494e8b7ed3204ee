import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { biasCodes, type Triple } from './window-grid.js';

/** Bias of one block, float [1, heads, n, n]; the index into its table is computed, never stored (model-spec §2). */
export function relativePositionBias(g: Operators, block: string, positions: number, fullWindow: Triple): Value {
  const { codes, centre } = biasCodes(fullWindow, positions);
  const row = g.constant(
    'int32',
    codes.map((c) => c + centre),
    [positions, 1],
  );
  const index = g.sub(row, g.constant('int32', codes, [1, positions]));
  const bias = g.gather(g.weight(`${block}.attn.relative_position_bias_table`, 'float'), index, 0);
  return g.unsqueeze(g.transpose(bias, [2, 0, 1]), 0);
}
