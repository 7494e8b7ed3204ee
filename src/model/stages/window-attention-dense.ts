import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { multiHeadAttention } from './attention.js';
import { relativePositionBias } from './relative-position-bias.js';
import { isShifted, patternBoxes, type Triple, volume, type WindowGrid } from './window-grid.js';

/*
 * Window attention for TensorRT: all windows of a batch at once, in the primitive form that its compiler fuses. One
 * graph serves every clip length T ≤ its own: which tokens may attend to each other follows from small integer ids that
 * are computed from `frame_count`, so that no mask is ever stored. The derivation stands in window-grid.ts and in
 * docs/architecture.md, "Clip lengths".
 */

/** What masks and zeroing need to know of the clips in a batch. */
export interface ClipLengths {
  /** int32 [B, 1]: frames of each clip. */
  readonly count: Value;
  /** bool [B, T, 1, 1, 1]: frame t is one of the clip's. */
  readonly present: Value;
}

/** frame_count int32 [B] → lengths; frames beyond them may hold anything finite. */
export function clipLengths(g: Operators, frameCount: Value, frames: number): ClipLengths {
  const count = g.reshape(frameCount, [-1, 1], ['B', 1]);
  const time = g.constant(
    'int32',
    Array.from({ length: frames }, (_, t) => t),
    [1, frames],
  );
  const present = g.reshape(g.less(time, count), [-1, frames, 1, 1, 1], ['B', frames, 1, 1, 1]);
  return { count, present };
}

/** normed [B, T, h, w, C], absent frames already zero → attention before the output projection, same shape. */
export function denseWindowAttention(
  g: Operators,
  normed: Value,
  grid: WindowGrid,
  lengths: ClipLengths,
  block: string,
  heads: number,
  fullWindow: Triple,
): Value {
  const [nt, nh, nw] = grid.count;
  const [wt, wh, ww] = grid.window;
  const positions = volume(grid.window);
  const width = normed.shape[4] as number;
  const padded = g.padEnd(normed, ['B', nt * wt, nh * wh, nw * ww, width]);
  const rolled = roll(g, padded, grid.shift);
  const cut = g.reshape(rolled, [-1, nt, wt, nh, wh, nw, ww, width], ['B', nt, wt, nh, wh, nw, ww, width]);
  const windows = g.reshape(
    g.transpose(cut, [0, 1, 3, 5, 2, 4, 6, 7]),
    [-1, positions, width],
    ['windows', positions, width],
  );

  const [q, k, v] = (['q', 'k', 'v'] as const).map((part) =>
    g.product(windows, g.weight(`${block}.attn.qkv.weight.${part}`), g.weight(`${block}.attn.qkv.bias.${part}`)),
  );
  const bias = relativePositionBias(g, block, positions, fullWindow);
  const ids = tokenIds(g, grid, lengths);
  const mask = ids ? g.add(bias, maskOf(g, ids, positions)) : bias;
  const mixed = multiHeadAttention(g, 'tensorrt', q!, k!, v!, heads, mask);

  const apart = g.reshape(mixed, [-1, nt, nh, nw, wt, wh, ww, width], ['B', nt, nh, nw, wt, wh, ww, width]);
  const joined = g.reshape(
    g.transpose(apart, [0, 1, 4, 2, 5, 3, 6, 7]),
    [-1, nt * wt, nh * wh, nw * ww, width],
    padded.shape,
  );
  const back = roll(g, joined, [-grid.shift[0], -grid.shift[1], -grid.shift[2]]);
  return grid.size.reduce((x, size, axis) => g.slice(x, axis + 1, 0, size), back);
}

/** Moves every element by −shift in (T, H, W), around the end. */
function roll(g: Operators, x: Value, shift: Triple): Value {
  return shift.reduce((y, by, i) => {
    const size = y.shape[i + 1] as number;
    const from = (by + size) % size;
    return from === 0 ? y : g.concat([g.slice(y, i + 1, from, size), g.slice(y, i + 1, 0, from)], i + 1);
  }, x);
}

/**
 * int32 [B, windows of T·H·W, positions]: tokens attend to each other where ids are equal; −1 is absent. Undefined where
 * every window is of one region and wholly present or wholly absent.
 */
function tokenIds(g: Operators, grid: WindowGrid, lengths: ClipLengths): Value | undefined {
  const long = grid.count[0] > 1;
  if (long && !isShifted(grid)) return undefined;
  const [nt, nh, nw] = grid.count;
  const [wt, wh, ww] = grid.window;
  const time = g.reshape(timeIds(g, grid, lengths), [-1, nt, 1, 1, wt, 1, 1], ['B', nt, 1, 1, wt, 1, 1]);
  const last = patternBoxes(grid).at(-1)!;
  const ids = (axis: 1 | 2) => {
    const plain = new Array<number>(grid.window[axis] * (grid.count[axis] - 1)).fill(0);
    // Interior windows are of region 0; the last one holds 1 (before the roll's seam) and 2 (behind it) in a shifted axis.
    return [...plain, ...last.regions[axis].map((r) => (grid.shift[axis] > 0 ? r + 1 : 0))];
  };
  const row = g.constant('int32', ids(1), [1, 1, nh, 1, 1, wh, 1]);
  const column = g.constant('int32', ids(2), [1, 1, 1, nw, 1, 1, ww]);
  const int = (v: number) => g.scalar(v, 'int32');
  const region = g.add(g.add(g.mul(time, int(9)), g.mul(row, int(3))), column);
  const all = g.where(g.less(time, int(0)), int(-1), region);
  return g.reshape(all, [-1, volume(grid.window)], ['windows', volume(grid.window)]);
}

/** int32 [B, T] in rolled order: region in time, −1 = absent. */
function timeIds(g: Operators, grid: WindowGrid, { count }: ClipLengths): Value {
  const int = (v: number) => g.scalar(v, 'int32');
  const window = grid.window[0];
  const frames = grid.count[0] * window;
  const shift = grid.shift[0];
  const order = Array.from({ length: frames }, (_, p) => (p + shift) % frames);
  const t = g.constant('int32', order, [1, frames]);
  // T ≤ window: the reference's window is T frames long, so that what is beyond is absent.
  if (grid.count[0] === 1) return g.where(g.less(t, count), int(0), int(-1));
  // Longer: the reference pads with zero tokens to whole windows; those are present.
  const whole = g.node('Div', [g.add(count, int(window - 1)), int(window)], 'int32', count.shape);
  const end = g.mul(whole, int(window));
  const tail = g.where(g.less(t, end), int(1), int(-1));
  const inner = g.where(g.less(t, g.sub(end, int(window - shift))), int(0), tail);
  return g.where(g.less(t, int(shift)), int(2), inner);
}

/** ids [windows, n] → float [windows, 1, n, n]: 0 where equal, else −100, which keeps a row of absent tokens finite. */
function maskOf(g: Operators, ids: Value, positions: number): Value {
  const rows = g.reshape(ids, [-1, 1, positions, 1], ['windows', 1, positions, 1]);
  const columns = g.reshape(ids, [-1, 1, 1, positions], ['windows', 1, 1, positions]);
  return g.where(g.equal(rows, columns), g.scalar(0, 'float'), g.scalar(-100, 'float'));
}
