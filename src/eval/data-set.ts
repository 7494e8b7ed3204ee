import type { Mask } from '../masks/mask.js';
import type { Box } from '../masks/statistics.js';
import type { RgbFrame } from '../video/frame.js';

/** Something in a data set that cannot be evaluated; it is listed and counted, never passed over in silence. */
export interface DataSetProblem {
  /** File at fault, below the root. */
  readonly file: string;
  /** Which record of it: a line, an id, a frame. */
  readonly record: string;
  readonly problem: string;
}

/**
 * A window of frames of which only the centre one is annotated (A2D-Sentences, JHMDB-Sentences): one run of the network
 * for all sentences about it.
 */
export interface FrameSample {
  readonly kind: 'frame';
  readonly id: string;
  /** The window; frames beyond the video's ends repeat the outermost ones. */
  readonly frames: readonly RgbFrame[];
  /** Position of the annotated frame in the window. */
  readonly centre: number;
  readonly targets: readonly FrameTarget[];
}

export interface FrameTarget {
  /** Id of the image in COCO's sense: one for each sentence and frame. */
  readonly image: string;
  readonly sentence: string;
  readonly truth: Mask;
  /** As annotated; absent where the data set has none. */
  readonly box?: Box;
}

/** A whole video with sentences, each about one object, or none (Refer-YouTube-VOS, folders). */
export interface TrackSample {
  readonly kind: 'track';
  readonly id: string;
  /** Names of the frames, for outputs: `00005`. Undefined where frames are numbered. */
  readonly frameNames?: readonly string[];
  /** May be called once. */
  frames(): AsyncIterable<RgbFrame>;
  readonly expressions: readonly Expression[];
}

export interface Expression {
  readonly id: string;
  readonly sentence: string;
  /** `none`: nobody knows (hidden annotations); `absent`: the sentence refers to nothing in the video. */
  readonly truth: 'masks' | 'absent' | 'none';
  /** Mask of a frame; undefined where the frame is not annotated. Only with `truth: 'masks'`. */
  mask?(frame: number): Promise<Mask | undefined>;
}

export type Sample = FrameSample | TrackSample;

export interface SampleOptions {
  /** Told of everything that cannot be evaluated. */
  readonly onProblem: (problem: DataSetProblem) => void;
  /** Samples that an earlier run has finished: they are not read again. */
  readonly isDone: (id: string) => boolean;
  readonly signal?: AbortSignal | undefined;
}

export interface DataSet {
  /** Number of samples, for progress. */
  readonly size: number;
  samples(options: SampleOptions): AsyncGenerator<Sample, void, undefined>;
}

/** Names used for files come from annotations: they must stay below the root. */
export function isPlainName(name: string): boolean {
  return /^[^/\\\0]{1,200}$/.test(name) && name !== '.' && name !== '..';
}
