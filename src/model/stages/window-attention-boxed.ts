import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { relativePositionBias, runtimeZero } from './relative-position-bias.js';
import { type PatternBox, patternBoxes, sourceOffsets, type Triple, volume, type WindowGrid } from './window-grid.js';

/*
 * Window attention for OpenVINO. One Gather puts tokens into windows that are ordered by mask pattern: all windows with the
 * same mask are neighbours, at most 8 boxes a block. Queries, keys and values are three products on the gathered rows, a
 * Split along the windows gives the boxes, and in each of them MatMul, Add, Add, Softmax, MatMul become one node. Another
 * Gather puts the tokens back, reading head by head, so that no transpose is left.
 *
 * Where frames stand is worked out from `frame_count` while the graph runs: a table of small integers. Windows that a
 * shorter clip lacks read zeros and go nowhere. The derivation stands in docs/architecture.md, "Clip lengths".
 */

/** Farther than any table: reads as zeros. Sums of three of them fit in int32. */
const outside = 5e8;
/** Added to scores of positions that a clip of less than one temporal window lacks: their weight is exactly 0. */
const absentScore = -1e4;

/** Values that are the same for all blocks of a graph, by what they depend on. */
export type Sharing = Map<string, Value>;

/** The frames of the clip, as the graph computes them. */
export interface ClipLength {
  /** int32 [1]: T */
  readonly count: Value;
  /** int32 [1]: temporal windows that the clip has, at least 1. */
  readonly windows: Value;
  readonly window: number;
  /** See `runtimeZero`. */
  readonly zero: Value;
}

export function clipLength(g: Operators, count: Value, window: number): ClipLength {
  const whole = g.add(count, g.scalar(window - 1, 'int32'));
  return { count, windows: g.div(whole, g.scalar(window, 'int32')), window, zero: runtimeZero(g, count) };
}

/** How the windows of a block are gathered and put back; blocks of one level and parity share it. */
export interface BoxedWindows {
  readonly grid: WindowGrid;
  readonly boxes: readonly { readonly windows: number; readonly mask: Value | undefined }[];
  /** int32 [W·n]: the token's row for each window position, in the order of the boxes. */
  readonly rows: Value;
  /** int32 [tokens · heads]: for each token and head its row in the boxes' results [W·heads·n, size]. */
  readonly back: Value;
  /** float [1, 1, 1, n] to be added to scores, */
  readonly absent: Value;
  /** See `runtimeZero`. */
  readonly zero: Value;
}

export function boxedWindows(
  g: Operators,
  grid: WindowGrid,
  heads: number,
  length: ClipLength,
  sharing: Sharing,
): BoxedWindows {
  const tokens = volume(grid.size);
  const n = volume(grid.window);
  const time = frameOffsets(g, grid, length);
  const found = patternBoxes(grid)
    .map((box) => ({ box, windows: volume(extent(box)) }))
    .filter(({ windows }) => windows > 0);
  const rows = g.concat(
    found.map(({ box }) => boxRows(g, grid, box, time)),
    0,
  );
  const count = found.reduce((sum, { windows }) => sum + windows, 0);

  // The inverse: where each token's first head went. Positions without a token all write behind the end.
  const window = g.mul(range(g, count), g.scalar(heads * n, 'int32'));
  const place = g.add(g.reshape(window, [count, 1]), g.reshape(range(g, n), [1, n]));
  const empty = g.expand(g.scalar(0, 'int32'), g.constant('int64', [tokens + 1]), [tokens + 1]);
  const target = g.min(rows, g.scalar(tokens, 'int32'));
  const inverse = g.node('ScatterElements', [empty, target, g.reshape(place, [count * n])], 'int32', [tokens + 1], {
    axis: 0,
  });
  const first = g.reshape(g.slice(inverse, 0, 0, tokens), [tokens, 1]);
  const head = g.reshape(g.mul(range(g, heads), g.scalar(n, 'int32')), [1, heads]);
  return {
    grid,
    boxes: found.map(({ box, windows }) => ({
      windows,
      mask: box.uniform ? undefined : shared(sharing, `mask ${JSON.stringify(box.regions)}`, () => boxMask(g, box)),
    })),
    rows,
    back: g.reshape(g.add(first, head), [tokens * heads]),
    absent: absentPositions(g, grid, length, sharing),
    zero: length.zero,
  };
}

/** x [tokens, C] → x + attention within windows of LayerNorm(x). */
export function boxedWindowAttention(
  g: Operators,
  x: Value,
  windows: BoxedWindows,
  block: string,
  heads: number,
  fullWindow: Triple,
): Value {
  const { grid, boxes, rows, back, absent } = windows;
  const n = volume(grid.window);
  const [tokens, width] = x.shape as [number, number];
  const size = width / heads;
  const count = boxes.reduce((sum, box) => sum + box.windows, 0);
  const gathered = g.gather(g.layerNorm(x, `${block}.norm1`), rows, 0);
  const scale = g.scalar(size ** -0.5, 'float');
  const project = (part: 'q' | 'k' | 'v') => {
    const [w, b] = (['weight', 'bias'] as const).map((kind) => g.weight(`${block}.attn.qkv.${kind}.${part}`));
    const y = part === 'q' ? g.product(gathered, g.mul(w!, scale), g.mul(b!, scale)) : g.product(gathered, w!, b!);
    const apart = g.reshape(y, [count, n, heads, size]);
    return g.split(
      apart,
      0,
      boxes.map((box) => box.windows),
    );
  };
  const [q, k, v] = (['q', 'k', 'v'] as const).map(project);
  const own = relativePositionBias(g, block, n, fullWindow, windows.zero);
  const bias = g.add(own, absent);
  const results = boxes.map(({ mask }, i) => {
    const queries = g.transpose(q![i]!, [0, 2, 1, 3]);
    const keys = g.transpose(g.transpose(k![i]!, [0, 2, 1, 3]), [0, 1, 3, 2]);
    const scores = g.add(g.matmul(queries, keys), bias);
    return g.matmul(g.softmax(mask ? g.add(scores, mask) : scores), g.transpose(v![i]!, [0, 2, 1, 3]));
  });
  const mixed = g.reshape(g.concat(results, 0), [count * heads * n, size]);
  const joined = g.reshape(g.gather(mixed, back, 0), [tokens, width]);
  return g.add(x, g.linear(joined, `${block}.attn.proj`));
}

function extent({ start, end }: PatternBox): Triple {
  return [end[0] - start[0], end[1] - start[1], end[2] - start[2]];
}

/** int32 [windows · positions] of one box: time + row + column, padding far outside. */
function boxRows(g: Operators, grid: WindowGrid, box: PatternBox, time: Value): Value {
  const of = extent(box);
  const window = grid.window[0];
  const inTime = g.slice(time, 0, box.start[0] * window, box.end[0] * window);
  const place = (axis: 1 | 2, shape: number[]) =>
    g.constant('int32', sourceOffsets(grid, axis, box.start[axis], box.end[axis], outside), shape);
  const frame = g.reshape(inTime, [of[0], 1, 1, window, 1, 1]);
  const row = place(1, [1, of[1], 1, 1, grid.window[1], 1]);
  const column = place(2, [1, 1, of[2], 1, 1, grid.window[2]]);
  return g.reshape(g.add(frame, g.add(row, column)), [volume(of) * volume(grid.window)]);
}

/**
 * int32 [padded frames]: where the frame at each place in time begins, or far outside. A clip with fewer temporal windows
 * than the grid has them first; but its last one, where shifted windows have their mask in time, is always the grid's last.
 */
function frameOffsets(g: Operators, grid: WindowGrid, { count, windows, window }: ClipLength): Value {
  const int = (value: number) => g.scalar(value, 'int32');
  const slots = grid.count[0] * grid.window[0];
  const places = range(g, slots);
  let frame = places;
  if (grid.shift[0] > 0) {
    // With one temporal window there is no shift, and the clip stands in the first.
    const padded = g.mul(windows, int(window));
    const lastWindow = g.sub(places, int(slots - window));
    const fromEnd = g.add(g.sub(padded, int(window - grid.shift[0])), lastWindow);
    const last = g.where(g.less(fromEnd, padded), fromEnd, g.sub(fromEnd, padded));
    const lead = g.less(places, g.sub(padded, int(window)));
    const shifted = g.where(
      g.less(places, int(slots - window)),
      g.where(lead, g.add(places, int(grid.shift[0])), int(slots)),
      last,
    );
    frame = g.where(g.less(windows, int(2)), places, shifted);
  }
  const present = g.less(frame, count);
  const [, h, w] = grid.size;
  return g.where(present, g.mul(frame, int(h * w)), int(outside));
}

/** float [1, 1, 1, n]: 0 where the position is within the clip; a clip of more than one window has them all. */
function absentPositions(g: Operators, grid: WindowGrid, length: ClipLength, sharing: Sharing): Value {
  const n = volume(grid.window);
  return shared(sharing, `absent ${grid.window}`, () => {
    const frames = Array.from({ length: n }, (_, i) => Math.floor(i / (grid.window[1] * grid.window[2])));
    const inside = g.less(g.constant('int32', frames, [1, 1, 1, n]), length.count);
    return g.where(inside, g.scalar(0, 'float'), g.scalar(absentScore, 'float'));
  });
}

/** float [1, 1, n, n]: 0 within a region, −100 between regions. */
function boxMask(g: Operators, { regions }: PatternBox): Value {
  const [t, h, w] = regions;
  const ids = t.flatMap((a) => h.flatMap((b) => w.map((c) => a * 4 + b * 2 + c)));
  const [rows, columns] = [
    [1, 1, ids.length, 1],
    [1, 1, 1, ids.length],
  ].map((shape) => g.constant('int32', ids, shape));
  return g.where(g.equal(rows!, columns!), g.scalar(0, 'float'), g.scalar(-100, 'float'));
}

/** int32 [count]: 0, 1, 2, … */
function range(g: Operators, count: number): Value {
  return g.node('Range', [g.scalar(0, 'int32'), g.scalar(count, 'int32'), g.scalar(1, 'int32')], 'int32', [count]);
}

function shared(sharing: Sharing, key: string, make: () => Value): Value {
  const found = sharing.get(key) ?? make();
  sharing.set(key, found);
  return found;
}
