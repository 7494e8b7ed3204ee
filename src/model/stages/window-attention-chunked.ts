import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { relativePositionBias } from './relative-position-bias.js';
import { type PatternBox, patternBoxes, sourceOffsets, type Triple, volume, type WindowGrid } from './window-grid.js';

/*
 * Window attention for ONNX Runtime. Pad, roll and partition are one Gather of rows, un-partition, roll back and crop
 * another; both index tables are computed in the graph from a few short vectors and folded when a session is made.
 * Windows are taken in chunks of one mask pattern each, so that a chunk's mask is the bias plus at most one pattern.
 */

/** Tokens of one chunk of windows; a few megabytes a tensor, which stay in the cache. */
const chunkTokens = 16 * 392;

interface Chunk {
  readonly pattern: PatternBox;
  /** Rows of the padded feature map, one per window position; row `tokens` is zeros. */
  readonly rows: Value;
  readonly windows: number;
}

/** How the windows of a block are gathered and put back; blocks of one level and parity share it. */
export interface WindowPlan {
  readonly grid: WindowGrid;
  readonly chunks: readonly Chunk[];
  /** See `runtimeZero`. */
  readonly zero: Value;
  /** For each token the position of its result in the concatenated chunks. */
  readonly back: Value;
}

export function planWindows(g: Operators, grid: WindowGrid, zero: Value): WindowPlan {
  const tokens = volume(grid.size);
  const perWindow = volume(grid.window);
  const perChunk = Math.max(1, Math.floor(chunkTokens / perWindow));
  const chunks: Chunk[] = [];
  const boxes = patternBoxes(grid);
  const all: Value[] = [];
  for (const pattern of boxes) {
    const rows = boxRows(g, grid, pattern, tokens);
    all.push(rows);
    const windows = volume([0, 1, 2].map((d) => pattern.end[d as 0] - pattern.start[d as 0]) as unknown as Triple);
    for (let i = 0; i < windows; i += perChunk) {
      const end = Math.min(windows, i + perChunk);
      chunks.push({ pattern, rows: g.slice(rows, 0, i * perWindow, end * perWindow), windows: end - i });
    }
  }
  const forward = g.concat(all, 0);
  const slots = forward.shape[0] as number;
  const range = g.node('Range', [g.scalar(0, 'int32'), g.scalar(slots, 'int32'), g.scalar(1, 'int32')], 'int32', [
    slots,
  ]);
  const empty = g.expand(g.scalar(0, 'int32'), g.constant('int64', [tokens + 1]), [tokens + 1]);
  const inverse = g.node('ScatterElements', [empty, forward, range], 'int32', [tokens + 1], { axis: 0 });
  return { grid, chunks, zero, back: g.slice(inverse, 0, 0, tokens) };
}

/** int32 [windows · positions] of one box: T + H + W offsets, anything in the padding → `tokens`. */
function boxRows(g: Operators, grid: WindowGrid, box: PatternBox, tokens: number): Value {
  const axes = [0, 1, 2] as const;
  const parts = axes.map((d) => {
    const shape = [1, 1, 1, 1, 1, 1];
    shape[d] = box.end[d] - box.start[d];
    shape[3 + d] = grid.window[d];
    return g.constant('int32', sourceOffsets(grid, d, box.start[d], box.end[d], tokens), shape);
  });
  const rows = g.min(g.add(g.add(parts[0]!, parts[1]!), parts[2]!), g.scalar(tokens, 'int32'));
  return g.reshape(rows, [(rows.shape as number[]).reduce((a, b) => a * b)]);
}

/**
 * Attention of one block within its windows: `normed` [tokens + 1, C] with a last row of zeros → [tokens, C] before the
 * output projection, token order. Padded positions take part as keys and values, as published.
 */
export function windowAttention(
  g: Operators,
  normed: Value,
  plan: WindowPlan,
  block: string,
  heads: number,
  fullWindow: Triple,
): Value {
  const positions = volume(plan.grid.window);
  const width = normed.shape[1] as number;
  const bias = relativePositionBias(g, block, positions, fullWindow, plan.zero);
  const masks = new Map<PatternBox, Value>();
  const results = plan.chunks.map(({ pattern, rows, windows }) => {
    if (!masks.has(pattern)) masks.set(pattern, pattern.uniform ? bias : g.add(bias, patternMask(g, pattern)));
    const x = g.gather(normed, rows, 0);
    const [q, k, v] = (['q', 'k', 'v'] as const).map((part) => {
      const y = g.product(x, g.weight(`${block}.attn.qkv.weight.${part}`), g.weight(`${block}.attn.qkv.bias.${part}`));
      return g.reshape(y, [windows, positions, width]);
    });
    const y = g.node('Attention', [q, k, v, masks.get(pattern)], 'float', [windows, positions, width], {
      q_num_heads: heads,
      kv_num_heads: heads,
    });
    return g.reshape(y, [windows * positions, width]);
  });
  return g.concat(results, 0);
}

/** float [n, n]: 0 within a region, −100 between regions. */
function patternMask(g: Operators, { regions }: PatternBox): Value {
  const [t, h, w] = regions;
  const ids = t.flatMap((a) => h.flatMap((b) => w.map((c) => a * 4 + b * 2 + c)));
  const same = g.equal(g.constant('int32', ids, [ids.length, 1]), g.constant('int32', ids, [1, ids.length]));
  return g.where(same, g.scalar(0, 'float'), g.scalar(-100, 'float'));
}
