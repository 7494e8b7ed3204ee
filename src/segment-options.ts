import { argument, checkArgument, checkOptions, type Expectation } from './arguments.js';
import { parseByteSize } from './byte-size.js';
import { RvosError } from './errors.js';
import { maxNetworkSide } from './preprocess/size-rule.js';
import type { SegmentProgress } from './results/segmentation-stream.js';
import type { FrameOptions } from './results/supplied-frames.js';
import { type Priority, priorities } from './scheduling/priority.js';
import type { UrlOptions } from './video/download.js';
import type { OpenVideoOptions } from './video/frame.js';
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
  /** Which stream's pictures, by ffprobe's `index`; default: the one marked as default, else the first. */
  readonly videoStream?: number | undefined;
  /** Which stream's sound goes along, by ffprobe's `index`, or none; default: the default one of the pictures' program. */
  readonly audioStream?: number | 'none' | undefined;
  /** Make whole pictures of interlaced fields; default false. */
  readonly deinterlace?: boolean | undefined;
  /**
   * Most bytes that are kept in a temporary file of what comes through a pipe and cannot be decoded as it comes, or as a stream; as
   * a number or as `4GB` (10^9), `4GiB` (2^30); default 4 GB.
   */
  readonly maxSpool?: number | string | undefined;
  /** Frames per second of a folder of images; default 25. */
  readonly imageFrameRate?: number;
  /** Let `-` stand for standard input; default: it is refused, since a program's standard input is seldom its caller's. */
  readonly standardInput?: boolean;
  /** Says whether the video is a long one: where others wait for a decoder, one is kept free for those that are not. */
  readonly isLong?: (signal: AbortSignal) => Promise<boolean>;
}

/** Sentences as callers give them: one, or several in an array. */
export type Sentences = string | readonly string[];

/**
 * The sentences as a list. Throws BAD_ARGUMENT for what is no text, BAD_SENTENCE if there is none; the tokenizer throws it
 * for an empty one.
 */
export function sentenceList(sentences: Sentences): readonly string[] {
  const list = typeof sentences === 'string' ? [sentences] : sentences;
  checkArgument('sentences', list, {
    expected: 'a sentence or an array of sentences',
    accepts: (value) => Array.isArray(value) && value.every((sentence) => typeof sentence === 'string'),
  });
  if (list.length > 0) return list;
  throw new RvosError(
    'BAD_SENTENCE',
    'no sentence was given',
    'Describe at least one object, as in "the red car on the left".',
  );
}

/** No container has more streams. */
const maxStreamIndex = 65535;

const runOptions: Record<keyof RunOptions, Expectation> = {
  signal: argument.signal,
  onProgress: argument.callback,
  tail: argument.oneOf(['published', 'anchored']),
  linkWindows: argument.flag,
  minScore: argument.number(0, 1),
  shortSide: argument.integer(1, maxNetworkSide),
  longSide: argument.integer(1, maxNetworkSide),
  antialias: argument.flag,
  priority: argument.oneOf(priorities),
};

const videoRunOptions: Record<keyof VideoRunOptions, Expectation> = {
  ...runOptions,
  start: argument.number(0),
  end: argument.number(0),
  decoder: argument.oneOf(['ffmpeg', 'opencv']),
  videoStream: argument.integer(0, maxStreamIndex),
  audioStream: argument.either(argument.integer(0, maxStreamIndex), argument.oneOf(['none'])),
  deinterlace: argument.flag,
  maxSpool: argument.byteSize,
  imageFrameRate: argument.number(0.001, 1000),
  standardInput: argument.flag,
  allowPrivateUrls: argument.flag,
  urlProxy: argument.flag,
  isLong: argument.callback,
};

const frameRunOptions: Record<keyof (RunOptions & FrameOptions), Expectation> = {
  ...runOptions,
  frameRate: argument.number(Number.MIN_VALUE, Number.MAX_VALUE),
};

/** Throws BAD_ARGUMENT for an option of a video's run that is unknown or out of range. */
export function checkVideoRunOptions(options: VideoRunOptions): void {
  checkOptions('a run', options, videoRunOptions);
  const { start = 0, end = Number.POSITIVE_INFINITY } = options;
  if (start < end) return;
  const hint = 'Choose an earlier start or a later end.';
  throw new RvosError('BAD_ARGUMENT', `start ${start} s is not before end ${end} s`, hint);
}

/** The same for a run of supplied frames. */
export function checkFrameRunOptions(options: RunOptions & FrameOptions): void {
  checkOptions('a run', options, frameRunOptions);
}

/** What of a run's options says how its video is read. */
export function openOptions(options: VideoRunOptions): OpenVideoOptions {
  const { start, end, videoStream, audioStream, deinterlace, decoder, imageFrameRate } = options;
  const { allowPrivateUrls, urlProxy, standardInput } = options;
  const maxSpool = options.maxSpool === undefined ? undefined : parseByteSize(options.maxSpool, 'maxSpool');
  const which = { start, end, videoStream, audioStream, deinterlace, decoder, imageFrameRate };
  return { ...which, maxSpool, allowPrivateUrls, urlProxy, standardInput };
}
