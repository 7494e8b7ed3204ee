import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import { isShifted, patternBoxes, type Triple, volume, type WindowGrid } from './window-grid.js';

/*
 * How the tokens of a batch of clips are cut into windows and put back, for TensorRT. One graph serves every clip length
 * T ≤ its own: which tokens may attend to each other follows from small integer ids that are computed from
 * `frame_count`, so that no mask is ever stored. The derivation stands in docs/architecture.md, "Clip lengths".
 *
 * Window tokens stand position by position, [n, W]: the n positions of a window are the slow axis, the W windows of all
 * clips the fast one. Then heads and windows are one axis of one stride, which is the layout that fused attention reads.
 */

const axes = [0, 1, 2] as const;

/** What masks and zeroing need to know of the clips in a batch. */
export interface ClipLengths {
  /** int32 [B, 1]: frames of each clip. */
  readonly count: Value;
}

/** How the windows of a block lie; blocks of one level and parity share it. */
export interface DenseWindows {
  readonly grid: WindowGrid;
  /** bool [n·W, 1]: the token is one of the clip's, neither padding nor of a frame beyond it. */
  readonly valid: Value;
  /**
   * int32 [W, n]: tokens attend to each other where ids are equal. Undefined where every window is of one region and
   * wholly present or wholly absent.
   */
  readonly ids: Value | undefined;
}

/** `frame_count` int32 [B]; frames beyond a clip's may hold anything finite. */
export function denseWindows(g: Operators, grid: WindowGrid, frameCount: Value): DenseWindows {
  const lengths = { count: g.reshape(frameCount, [-1, 1], ['B', 1]) };
  return { grid, valid: validTokens(g, grid, lengths), ids: tokenIds(g, grid, lengths) };
}

/** x [B·T·h·w, C] → tokens of all windows [n·W, C]; what stands in the padding is of no meaning. */
export function cutWindows(g: Operators, x: Value, grid: WindowGrid): Value {
  const width = x.shape[1] as number;
  const map = g.reshape(x, [-1, ...grid.size, width], ['B', ...grid.size, width]);
  // Pad and roll as one gather of whole rows an axis: the builder makes these, the transpose and the norm behind it one kernel.
  const rolled = axes.reduce((y, d) => (isMoved(grid, d) ? g.gather(y, sources(g, grid, d), d + 1) : y), map);
  const [nt, nh, nw] = grid.count;
  const [wt, wh, ww] = grid.window;
  const cut = g.reshape(rolled, [-1, nt, wt, nh, wh, nw, ww, width], ['B', nt, wt, nh, wh, nw, ww, width]);
  return g.reshape(g.transpose(cut, [2, 4, 6, 0, 1, 3, 5, 7]), [-1, width], ['n*W', width]);
}

/** The inverse of `cutWindows`; the padding is dropped. */
export function joinWindows(g: Operators, tokens: Value, grid: WindowGrid): Value {
  const width = tokens.shape[1] as number;
  const [nt, nh, nw] = grid.count;
  const [wt, wh, ww] = grid.window;
  const apart = g.reshape(tokens, [wt, wh, ww, -1, nt, nh, nw, width], [wt, wh, ww, 'B', nt, nh, nw, width]);
  const padded: Triple = [nt * wt, nh * wh, nw * ww];
  const joined = g.reshape(
    g.transpose(apart, [3, 4, 0, 5, 1, 6, 2, 7]),
    [-1, ...padded, width],
    ['B', ...padded, width],
  );
  const map = axes.reduce((y, d) => (isMoved(grid, d) ? g.gather(y, targets(g, grid, d), d + 1) : y), joined);
  return g.reshape(map, [-1, width], ['tokens', width]);
}

function paddedSize(grid: WindowGrid, axis: 0 | 1 | 2): number {
  return grid.count[axis] * grid.window[axis];
}

function isMoved(grid: WindowGrid, axis: 0 | 1 | 2): boolean {
  return grid.shift[axis] > 0 || paddedSize(grid, axis) !== grid.size[axis];
}

/** Row of the unpadded map that stands at each position of the rolled one; positions in the padding name any row. */
function sources(g: Operators, grid: WindowGrid, axis: 0 | 1 | 2): Value {
  return g.constant(
    'int32',
    sourcePositions(grid, axis).map((p) => p % grid.size[axis]),
  );
}

/** The same before padding is given a row: positions from `grid.size` on are padding. */
function sourcePositions(grid: WindowGrid, axis: 0 | 1 | 2): number[] {
  const total = paddedSize(grid, axis);
  return Array.from({ length: total }, (_, p) => (p + grid.shift[axis]) % total);
}

/** Position in the rolled map of each row of the unpadded one. */
function targets(g: Operators, grid: WindowGrid, axis: 0 | 1 | 2): Value {
  const total = paddedSize(grid, axis);
  return g.constant(
    'int32',
    Array.from({ length: grid.size[axis] }, (_, i) => (i - grid.shift[axis] + total) % total),
  );
}

function validTokens(g: Operators, grid: WindowGrid, { count }: ClipLengths): Value {
  const [nt, nh, nw] = grid.count;
  const [wt, wh, ww] = grid.window;
  const frame = g.constant('int32', sourcePositions(grid, 0), [1, nt * wt]);
  const present = g.reshape(g.less(frame, count), [-1, nt, wt, 1, 1, 1, 1], ['B', nt, wt, 1, 1, 1, 1]);
  const inTime = g.transpose(present, [2, 3, 4, 0, 1, 5, 6]);
  // Constants, in the order [position in window, window].
  const inside = (axis: 1 | 2, shape: readonly number[]) => {
    const [count, window] = [grid.count[axis], grid.window[axis]];
    const positions = sourcePositions(grid, axis);
    const values = Array.from({ length: window * count }, (_, i) => {
      const position = (i % count) * window + Math.floor(i / count);
      return positions[position]!;
    });
    return g.less(g.constant('int32', values, shape), g.scalar(grid.size[axis], 'int32'));
  };
  const inSpace = g.and(inside(1, [1, wh, 1, 1, 1, nh, 1]), inside(2, [1, 1, ww, 1, 1, 1, nw]));
  return g.reshape(g.and(inTime, inSpace), [-1, 1], ['n*W', 1]);
}

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
  return g.reshape(all, [-1, volume(grid.window)], ['W', volume(grid.window)]);
}

/** int32 [B, T] in rolled order: region in time, −1 = absent. */
function timeIds(g: Operators, grid: WindowGrid, { count }: ClipLengths): Value {
  const int = (v: number) => g.scalar(v, 'int32');
  const window = grid.window[0];
  const shift = grid.shift[0];
  const t = g.constant('int32', sourcePositions(grid, 0), [1, paddedSize(grid, 0)]);
  // T ≤ window: the reference's window is T frames long, so that what is beyond is absent.
  if (grid.count[0] === 1) return g.where(g.less(t, count), int(0), int(-1));
  // Longer: the reference pads with zero tokens to whole windows; those are present.
  const whole = g.node('Div', [g.add(count, int(window - 1)), int(window)], 'int32', count.shape);
  const end = g.mul(whole, int(window));
  const tail = g.where(g.less(t, end), int(1), int(-1));
  const inner = g.where(g.less(t, g.sub(end, int(window - shift))), int(0), tail);
  return g.where(g.less(t, int(shift)), int(2), inner);
}
