import { RvosError } from './errors.js';
import type { SegmentProgress } from './results/segmentation-stream.js';
import { type Priority, priorities } from './scheduling/priority.js';
import type { UrlOptions } from './video/download.js';
import type { WindowTail } from './windows.js';

/** Options of every run; what is left out is the model's (`model.json`). */
export interface RunOptions {
  readonly signal?: AbortSignal;
  /** Called after each window. */
  readonly onProgress?: (progress: SegmentProgress) => void;
  /** What becomes of the end of the video; default `published`. */
  readonly tail?: WindowTail;
  /** Follow the same object from window to window by the frames they share, instead of choosing anew. */
  readonly linkWindows?: boolean;
  /** 0…1: a window whose score for a sentence is below gives empty masks; 0 = always a mask. */
  readonly minScore?: number;
  /** Network size in pixels: wanted short side, and the longest the long side may get. */
  readonly shortSide?: number;
  readonly longSide?: number;
  /** Resize with antialias, as newer versions of the published pipeline, or without, as in 2022. */
  readonly antialias?: boolean;
  /** Share of the device while other runs wait for it too; default `normal`. */
  readonly priority?: Priority;
}

export interface VideoRunOptions extends RunOptions, UrlOptions {
  /** Seconds from the first frame: frames with start ≤ time < end are used. */
  readonly start?: number;
  readonly end?: number;
  readonly decoder?: 'ffmpeg' | 'opencv';
  /** Frames per second of a folder of images; default 25. */
  readonly imageFrameRate?: number;
  /** Says whether the video is a long one: where others wait for a decoder, one is kept free for those that are not. */
  readonly isLong?: (signal: AbortSignal) => Promise<boolean>;
}

/** Throws BAD_SENTENCE if there is none; the tokenizer throws it for an empty one. */
export function checkSentences(sentences: readonly string[]): void {
  if (sentences.length === 0) {
    throw new RvosError(
      'BAD_SENTENCE',
      'no sentence was given',
      'Describe at least one object, as in "the red car on the left".',
    );
  }
}

/** Throws BAD_ARGUMENT for numbers out of range; sizes and times are checked where they are used. */
export function checkRunOptions(options: VideoRunOptions): void {
  const { minScore, tail, priority, start = 0, end = Number.POSITIVE_INFINITY } = options;
  if (minScore !== undefined && !(minScore >= 0 && minScore <= 1)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `minimum score ${minScore} is not between 0 and 1`,
      'Scores are probabilities, 0…1.',
    );
  }
  if (tail !== undefined && tail !== 'published' && tail !== 'anchored') {
    throw new RvosError('BAD_ARGUMENT', `tail ${String(tail)} is unknown`, 'It is published or anchored.');
  }
  if (priority !== undefined && !priorities.includes(priority)) {
    throw new RvosError('BAD_ARGUMENT', `priority ${String(priority)} is unknown`, `It is ${priorities.join(', ')}.`);
  }
  if (!(start < end)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `start ${start} s is not before end ${end} s`,
      'Choose an earlier start or a later end.',
    );
  }
}
