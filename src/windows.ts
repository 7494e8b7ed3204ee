import { RvosError } from './errors.js';

/** Window length and overlap in frames; the published pipeline uses 24 and 6. */
export interface WindowSchedule {
  readonly length: number;
  readonly overlap: number;
}

/**
 * What becomes of the end of a video. `published`: windows start at every multiple of length − overlap, the last ones
 * are as short as the video leaves them, even one that lies inside the window before. `anchored`: the last window is
 * moved back until it is full, and one that lies inside the window before is dropped.
 */
export type WindowTail = 'published' | 'anchored';

/** Frames `start` ≤ index < `end` of a video. */
export interface WindowRange {
  readonly start: number;
  readonly end: number;
}

/** One window with its frames: `frames[i]` is frame `start + i` of the video. */
export interface Windowed<Frame> extends WindowRange {
  /** Number of the window, from 0. */
  readonly index: number;
  readonly frames: readonly Frame[];
}

/** The windows of a video whose number of frames is known. */
export function windowRanges(
  frameCount: number,
  schedule: WindowSchedule,
  tail: WindowTail = 'published',
): WindowRange[] {
  const { length, stride } = checkSchedule(schedule);
  const ranges: WindowRange[] = [];
  let covered = 0;
  for (let start = 0; start < frameCount; start += stride) {
    const end = Math.min(start + length, frameCount);
    if (tail === 'anchored') {
      if (end <= covered) break;
      ranges.push({ start: Math.max(0, end - length), end });
    } else {
      ranges.push({ start, end });
    }
    covered = end;
  }
  return ranges;
}

/**
 * The same windows from a video whose length nobody knows yet: each window is yielded as soon as its last frame has
 * arrived, and only frames that a later window may need are held (at most `length`). Where window k+1 starts, the
 * results of window k for earlier frames are final.
 */
export async function* windowFrames<Frame>(
  frames: AsyncIterable<Frame> | Iterable<Frame>,
  schedule: WindowSchedule,
  tail: WindowTail = 'published',
): AsyncGenerator<Windowed<Frame>, void, undefined> {
  const { length, stride } = checkSchedule(schedule);
  // Frame `heldFrom + i` of the video is held[i].
  let held: Frame[] = [];
  let heldFrom = 0;
  let start = 0;
  let covered = 0;
  let index = 0;
  const windowAt = (from: number, to: number): Windowed<Frame> => {
    covered = to;
    return { index: index++, start: from, end: to, frames: held.slice(from - heldFrom, to - heldFrom) };
  };

  for await (const frame of frames) {
    held.push(frame);
    const arrived = heldFrom + held.length;
    if (arrived < start + length) {
      // An anchored last window reaches back `length` frames from wherever the video ends.
      if (tail === 'anchored' && held.length > length) {
        held.shift();
        heldFrom++;
      }
      continue;
    }
    yield windowAt(start, arrived);
    start += stride;
    const needed = tail === 'anchored' ? Math.min(start, arrived - length) : start;
    held = held.slice(needed - heldFrom);
    heldFrom = needed;
  }

  const count = heldFrom + held.length;
  if (tail === 'anchored') {
    if (count > covered) yield windowAt(Math.max(0, count - length), count);
    return;
  }
  for (; start < count; start += stride) yield windowAt(start, count);
}

function checkSchedule({ length, overlap }: WindowSchedule): { length: number; stride: number } {
  const valid =
    Number.isInteger(length) && Number.isInteger(overlap) && length >= 1 && overlap >= 0 && overlap < length;
  if (!valid) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `window length ${length} with overlap ${overlap} is no schedule`,
      'Both are whole numbers with 0 ≤ overlap < length; the published values are 24 and 6.',
    );
  }
  return { length, stride: length - overlap };
}
