import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { cutWindows, type DenseWindows, joinWindows } from './dense-windows.js';
import { relativePositionBias } from './relative-position-bias.js';
import { type Triple, volume } from './window-grid.js';

/*
 * Window attention for TensorRT: all windows of a batch at once, in the form its compiler makes fewest kernels of: cut,
 * norm and zeroing · keys and values · queries · attention · join · projection and residual. docs/tensorrt-graphs.md has
 * the measurements behind each choice.
 */

/** x [B·T·h·w, C] → x + attention within windows of LayerNorm(x), same shape. */
export function denseWindowAttention(
  g: Operators,
  x: Value,
  windows: DenseWindows,
  block: string,
  heads: number,
  fullWindow: Triple,
): Value {
  const { grid, valid, ids } = windows;
  const n = volume(grid.window);
  // The norm is taken of window tokens, after the cut, so that padding and absent frames are zeroed behind it. Where, not
  // Mul: frames beyond the clip may have become NaN, and 0 · NaN is NaN.
  const normed = g.layerNorm(cutWindows(g, x, grid), `${block}.norm1`);
  const tokens = { ...g.where(valid, normed, g.scalar(0)), shape: normed.shape };
  const { q, k, v, valueBias } = projections(g, tokens, `${block}.attn.qkv`, heads);

  const bias = relativePositionBias(g, block, n, fullWindow);
  const mask = ids && maskOf(g, ids, n);
  const mixed = attention(g, { q, k, v }, n, heads, bias, mask);
  const joined = joinWindows(g, g.add(mixed, valueBias), grid);
  return g.add(x, g.linear(joined, `${block}.attn.proj`));
}

/**
 * tokens [n·W, C] → q, k, v of the same shape. Keys need no bias: it adds the same to all scores of a query, which softmax
 * takes away. That of values passes the mean over keys unchanged and is left to the caller. So keys and values are one
 * batched product, of which both are read in place; queries take their bias, and their scale, with them.
 */
function projections(g: Operators, tokens: Value, name: string, heads: number) {
  const width = tokens.shape[1] as number;
  const weight = (part: string, type = g.computeType) => g.weight(`${name}.weight.${part}`, type);
  const scale = g.scalar((width / heads) ** -0.5, 'float');
  const scaled = (x: Value) => g.cast(g.mul(x, scale), g.computeType);
  const q = g.product(tokens, scaled(weight('q', 'float')), scaled(g.weight(`${name}.bias.q`, 'float')));
  const both = g.concat([g.unsqueeze(weight('k'), 0), g.unsqueeze(weight('v'), 0)], 0);
  const [k, v] = g.split(g.matmul(g.unsqueeze(tokens, 0), both), 0, [1, 1]);
  return { q, k: k!, v: v!, valueBias: g.weight(`${name}.bias.v`) };
}

/** q (scaled), k, v [n·W, C] → [n·W, C]; bias [1, heads, n, n], mask [W, 1, n, n] or absent. Softmax in FP32. */
function attention(
  g: Operators,
  { q, k, v }: { readonly q: Value; readonly k: Value; readonly v: Value },
  n: number,
  heads: number,
  bias: Value,
  mask: Value | undefined,
): Value {
  const width = q.shape[1] as number;
  const size = width / heads;
  const apart = (x: Value, axes: readonly number[]) => g.transpose(g.reshape(x, [n, -1, size], [n, 'W*H', size]), axes);
  const products = g.reshape(g.matmul(apart(q, [1, 0, 2]), apart(k, [1, 2, 0])), [-1, heads, n, n], ['W', heads, n, n]);
  // Bias and mask are added one after the other: their sum would be a mask per window and kept in memory.
  let scores = g.add(products, bias);
  if (mask) scores = g.add(scores, mask);
  const weights = g.cast(g.softmax(g.cast(scores, 'float')), q.type);
  const mixed = g.matmul(g.reshape(weights, [-1, n, n], ['W*H', n, n]), apart(v, [1, 0, 2]));
  return g.reshape(g.transpose(mixed, [1, 0, 2]), [-1, width], ['n*W', width]);
}

/** ids [W, n] → [W, 1, n, n]: 0 where equal, else −100, which keeps a row of absent tokens finite. */
function maskOf(g: Operators, ids: Value, n: number): Value {
  const rows = g.reshape(ids, [-1, 1, n, 1], ['W', 1, n, 1]);
  const columns = g.reshape(ids, [-1, 1, 1, n], ['W', 1, 1, n]);
  return g.where(g.equal(rows, columns), g.scalar(0), g.scalar(-100));
}
