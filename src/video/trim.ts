import { RvosError } from '../errors.js';
import type { OpenVideoOptions } from './frame.js';

/** The part of a video that is wanted: start ≤ time < end, in seconds from its first frame. */
export interface Trim {
  readonly start: number;
  /** Infinity when the video is wanted to its end. */
  readonly end: number;
}

/** Throws BAD_ARGUMENT for values that are no times, and for start ≥ end. */
export function checkTrim(options: OpenVideoOptions): Trim {
  const { start = 0, end = Number.POSITIVE_INFINITY } = options;
  const bad = (message: string) =>
    new RvosError('BAD_ARGUMENT', message, 'Times are seconds from the first frame, with 0 ≤ start < end.');
  if (!Number.isFinite(start) || start < 0) throw bad(`start ${start} is not a time`);
  if (Number.isNaN(end) || end <= 0) throw bad(`end ${end} is not a time`);
  if (start >= end) throw bad(`start ${start} s is not before end ${end} s`);
  return { start, end };
}

/** The error for a part of a video that holds no frame. */
export function noFramesIn(source: string, trim: Trim, duration: number | null, reachedEnd: boolean): RvosError {
  if (trim.start > 0 && !reachedEnd) {
    const length = duration === null ? '' : ` (it lasts ${duration.toFixed(2)} s)`;
    return new RvosError(
      'NO_FRAMES',
      `start ${trim.start} s lies beyond the last frame of ${source}${length}`,
      'Choose an earlier start.',
    );
  }
  if (reachedEnd) {
    return new RvosError(
      'NO_FRAMES',
      `${source} has no frame between ${trim.start} s and ${trim.end} s`,
      'Choose a longer part.',
    );
  }
  return new RvosError('NO_FRAMES', `${source} holds no frame that can be decoded`, 'Check that the file is complete.');
}
