/** Sizes along (time, height, width). */
export type Triple = readonly [number, number, number];

/** How one Video Swin block cuts a feature map into windows (model-spec §2). */
export interface WindowGrid {
  /** Feature map, unpadded. */
  readonly size: Triple;
  /** Window after clipping to the feature map. */
  readonly window: Triple;
  /** Cyclic shift, 0 in a clipped dimension and in even blocks. */
  readonly shift: Triple;
  /** Windows per dimension; `count · window` is the padded size. */
  readonly count: Triple;
}

const triple = (f: (axis: 0 | 1 | 2) => number): Triple => [f(0), f(1), f(2)];

export function windowGrid(size: Triple, fullWindow: Triple, shifted: boolean): WindowGrid {
  const window = triple((d) => Math.min(size[d], fullWindow[d]));
  const shift = triple((d) => (shifted && size[d] > fullWindow[d] ? Math.floor(fullWindow[d] / 2) : 0));
  return { size, window, shift, count: triple((d) => Math.ceil(size[d] / window[d])) };
}

export function isShifted(grid: WindowGrid): boolean {
  return grid.shift.some((s) => s > 0);
}

export function volume(t: Triple): number {
  return t[0] * t[1] * t[2];
}

/**
 * Windows that share one mask pattern: a box [start, end) of windows. In a shifted dimension only the last window
 * holds positions of two regions, so that there are at most 8 boxes.
 */
export interface PatternBox {
  readonly start: Triple;
  readonly end: Triple;
  /** Per dimension and position in the window: its region. Positions attend to each other where all three agree. */
  readonly regions: readonly [number[], number[], number[]];
  /** Whether all positions are of one region: no mask. */
  readonly uniform: boolean;
}

export function patternBoxes(grid: WindowGrid): PatternBox[] {
  const ranges = ([0, 1, 2] as const).map((d): [number, number][] => {
    const n = grid.count[d];
    return grid.shift[d] > 0
      ? [
          [0, n - 1],
          [n - 1, n],
        ]
      : [[0, n]];
  });
  const boxes: PatternBox[] = [];
  for (const t of ranges[0]!) {
    for (const h of ranges[1]!) {
      for (const w of ranges[2]!) {
        const box = [t, h, w];
        const last = (d: number) => grid.shift[d as 0] > 0 && box[d]![1] === grid.count[d as 0];
        const regions = [0, 1, 2].map((d) =>
          Array.from({ length: grid.window[d as 0] }, (_, i) =>
            last(d) && i >= grid.window[d as 0] - grid.shift[d as 0] ? 1 : 0,
          ),
        ) as [number[], number[], number[]];
        boxes.push({
          start: triple((d) => box[d]![0]),
          end: triple((d) => box[d]![1]),
          regions,
          uniform: ![0, 1, 2].some(last),
        });
      }
    }
  }
  return boxes;
}

/**
 * For the windows [from, to) of one dimension: the offset that each position adds to a token's row in the flattened
 * feature map, windows × positions; `outside` for positions in the padding. The shift rolls the padded grid by −shift.
 */
export function sourceOffsets(grid: WindowGrid, axis: 0 | 1 | 2, from: number, to: number, outside: number): number[] {
  const { size, window, shift, count } = grid;
  const stride = axis === 0 ? size[1] * size[2] : axis === 1 ? size[2] : 1;
  const padded = count[axis] * window[axis];
  const offsets: number[] = [];
  for (let p = from * window[axis]; p < to * window[axis]; p++) {
    const source = (p + shift[axis]) % padded;
    offsets.push(source < size[axis] ? source * stride : outside);
  }
  return offsets;
}

/**
 * The relative position bias between window positions n and m is row `code[n] − code[m] + centre` of the table. The
 * first positions of the FULL window are enumerated whatever the clipped window looks like: the published network
 * takes the top-left corner of the full index.
 */
export function biasCodes(fullWindow: Triple, positions: number): { codes: number[]; centre: number } {
  const [, h, w] = fullWindow;
  const code = (t: number, y: number, x: number) => (t * (2 * h - 1) + y) * (2 * w - 1) + x;
  const codes = Array.from({ length: positions }, (_, n) =>
    code(Math.floor(n / (h * w)), Math.floor(n / w) % h, n % w),
  );
  return { codes, centre: code(fullWindow[0] - 1, h - 1, w - 1) };
}
