import type { RgbFrame } from '../../video/frame.js';

/** Frames of a window of `length` around an annotated frame (0-based), ends repeated (model-spec §9.1, §9.2). */
export function windowAround(centre: number, length: number, frameCount: number): number[] {
  const first = centre - Math.floor(length / 2);
  return Array.from({ length }, (_, i) => Math.min(Math.max(first + i, 0), frameCount - 1));
}

/** Where the annotated frame stands in its window. */
export function centreOf(length: number): number {
  return Math.floor(length / 2);
}

/**
 * Decodes a video once and hands out the window around each of `centres` (ascending, 0-based) as soon as its last frame
 * has arrived: only frames that a window may still need are held. Centres beyond the video's end are given to `onBeyond`.
 */
export async function* windowsOf(
  frames: AsyncIterable<RgbFrame>,
  centres: readonly number[],
  length: number,
  onBeyond: (centre: number, frameCount: number) => void,
): AsyncGenerator<{ centre: number; frames: RgbFrame[] }, void, undefined> {
  const before = Math.floor(length / 2);
  const after = length - 1 - before;
  const waiting = [...centres];
  const held = new Map<number, RgbFrame>();
  let count = 0;
  const take = (centre: number, end: number) => ({
    centre,
    frames: windowAround(centre, length, end).map((index) => held.get(index)!),
  });
  for await (const frame of frames) {
    held.set(count++, frame);
    while (waiting.length > 0 && count > waiting[0]! + after) yield take(waiting.shift()!, count);
    if (waiting.length === 0) return;
    // A window at the start repeats frame 0, one at the end the last frame: both are within reach of their centre.
    for (const index of held.keys()) if (index < waiting[0]! - before && index < count - 1) held.delete(index);
  }
  for (const centre of waiting) {
    if (centre < count) yield take(centre, count);
    else onBeyond(centre, count);
  }
}
