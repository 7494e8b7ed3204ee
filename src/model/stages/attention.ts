import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import type { Target } from '../target.js';

/** Added to the score of a padded key: finite (a row of −∞ gives NaN), yet its weight is exactly 0 after softmax. */
const masked = { float: -1e9, float16: -3e4 };

/**
 * Multi-head attention of q [n, s, D] over k, v [n, m, D]; `mask` float broadcastable to [n, heads, s, m] or absent.
 * Returns [n, s, D] before the output projection. Products in the graph's type, softmax in FP32.
 */
export function multiHeadAttention(
  g: Operators,
  target: Target,
  q: Value,
  k: Value,
  v: Value,
  heads: number,
  mask?: Value,
): Value {
  if (target === 'onnxruntime') {
    const inputs = mask ? [q, k, v, rowsFor(g, mask, q)] : [q, k, v];
    return g.node('Attention', inputs, q.type, q.shape, { q_num_heads: heads, kv_num_heads: heads });
  }
  const width = q.shape[2] as number;
  const size = width / heads;
  const split = (x: Value, axes: number[]) =>
    g.transpose(g.reshape(x, [0, 0, heads, size], [x.shape[0]!, x.shape[1]!, heads, size]), axes);
  // The scale stands before the first product: that is the form TensorRT fuses, and FP16 keeps its range.
  const scaled = g.mul(split(q, [0, 2, 1, 3]), g.scalar(size ** -0.5, q.type as 'float'));
  const scores = g.cast(g.matmul(scaled, split(k, [0, 2, 3, 1])), 'float');
  const weights = g.softmax(mask ? g.add(scores, mask) : scores);
  const mixed = g.matmul(g.cast(weights, v.type), split(v, [0, 2, 1, 3]));
  return g.reshape(g.transpose(mixed, [0, 2, 1, 3]), [0, 0, width], q.shape);
}

/** The operator wants a mask row for every query: [n, 1, 1, m] → [n, 1, s, m]. */
function rowsFor(g: Operators, mask: Value, q: Value): Value {
  const one = g.constant('int64', [1]);
  return g.expand(mask, g.concat([one, one, g.sizeOf(q, 1), one], 0), [mask.shape[0]!, 1, q.shape[1]!, mask.shape[3]!]);
}

/** attention_mask int64 [P, S] (1 = token, 0 = padding) → float [P, S] to add to scores. */
export function paddingMask(g: Operators, attentionMask: Value): Value {
  const padding = g.equal(attentionMask, g.constant('int64', [0], []));
  return g.where(padding, g.scalar(masked[g.computeType], 'float'), g.scalar(0, 'float'));
}

/**
 * torch's nn.MultiheadAttention with its parameters under `name`: projections of query, key and value, attention,
 * output projection.
 */
export function projectedAttention(
  g: Operators,
  target: Target,
  name: string,
  inputs: { query: Value; key: Value; value: Value },
  heads: number,
  mask?: Value,
): Value {
  const project = (x: Value, part: string) =>
    g.product(x, g.weight(`${name}.in_proj_weight.${part}`), g.weight(`${name}.in_proj_bias.${part}`));
  const y = multiHeadAttention(
    g,
    target,
    project(inputs.query, 'q'),
    project(inputs.key, 'k'),
    project(inputs.value, 'v'),
    heads,
    mask,
  );
  return g.linear(y, `${name}.out_proj`);
}
