import type { Mask } from '../masks/mask.js';
import type { RgbFrame } from '../video/frame.js';
import type { Ratio } from '../video/sample-aspect.js';

/** A frame whose masks are final. */
export interface SegmentedFrame {
  /** Number of the frame, from 0, counted from the first frame returned. */
  readonly index: number;
  /** Seconds since the first frame returned. */
  readonly time: number;
  /** The frame as decoded; its own `time` counts from the start of the file. */
  readonly frame: RgbFrame;
  /** One mask a sentence, in the order of the sentences, at the frame's size. */
  readonly masks: readonly Mask[];
  /** Number of the window these masks come from. */
  readonly window: number;
}

/** What was decided for one sentence in one window. */
export interface WindowScore {
  /** Frames start ≤ index < end. */
  readonly start: number;
  readonly end: number;
  readonly objectQuery: number;
  /** Referred score of that query, 0…1: mean over the window's frames. */
  readonly score: number;
}

/** One sentence over the whole video. */
export interface QuerySummary {
  readonly text: string;
  /** Mean of the windows' scores, each weighted by its frames; 0 before the first window. */
  readonly score: number;
  readonly windows: readonly WindowScore[];
}

/** What a run found, apart from the masks themselves. */
export interface SegmentSummary {
  readonly video: {
    readonly source: string;
    readonly width: number;
    readonly height: number;
    /** Frames per second; null where unknown. */
    readonly frameRate: number | null;
    /** Displayed width of a stored pixel over its height. */
    readonly sampleAspect: Ratio;
    readonly frames: number;
  };
  readonly queries: readonly QuerySummary[];
  /** Seconds of each frame since the first. */
  readonly times: readonly number[];
  /** Messages that are not failures, such as a truncated file. */
  readonly warnings: readonly string[];
}

export function querySummary(text: string, windows: readonly WindowScore[]): QuerySummary {
  let frames = 0;
  let sum = 0;
  for (const { start, end, score } of windows) {
    frames += end - start;
    sum += (end - start) * score;
  }
  return { text, score: frames > 0 ? sum / frames : 0, windows };
}
