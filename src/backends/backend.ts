import type { Mask } from '../masks/mask.js';
import type { SizeRule } from '../preprocess/size-rule.js';
import type { Priority } from '../scheduling/priority.js';
import type { RgbFrame } from '../video/frame.js';

/** Token ids of one cleaned sentence, `<s>` and `</s>` included, no padding. */
export interface TokenizedSentence {
  readonly text: string;
  readonly ids: readonly number[];
}

/** Text features of one sentence: [S, D] float32 after the feature resizer. Device backends may keep them elsewhere. */
export interface TextFeatures {
  readonly tokens: number;
  readonly features: Float32Array;
}

/** One window of a video: T ≤ window length frames of equal size. */
export interface Frames {
  /** Identifies the video: windows of one stream share decoded frames. */
  readonly stream: number;
  /** Index of the first frame in the video (after trimming). */
  readonly start: number;
  readonly frames: readonly RgbFrame[];
}

/** How frames become the network's input: resized by the size rule (model-spec §8.3), then (x/255 − mean)/std. */
export interface Preprocessing {
  readonly shortSide: number;
  readonly longSide: number;
  readonly antialias: boolean;
  /** Default `pipeline`. */
  readonly sizeRule?: SizeRule;
  /** Displayed width of a frame's pixel over its height; default 1. The network sees the shape as displayed. */
  readonly pixelAspect?: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

export interface SegmentOptions {
  /** What differs from the model's own preprocessing. */
  readonly preprocessing?: Partial<
    Pick<Preprocessing, 'shortSide' | 'longSide' | 'antialias' | 'sizeRule' | 'pixelAspect'>
  >;
  /** Positions within the window that are kept after the backbone (A2D: the centre frame); default all. */
  readonly frames?: readonly number[];
  /** `best`: the mask of the object query with the best referred score; `all`: of every object query. */
  readonly queries?: 'best' | 'all';
  /**
   * Linking: for each sentence the masks it got in the first frames of this window from the window before. The object
   * query whose masks overlap them most (IoU > 0.5 over these frames together) is chosen instead of the best scored.
   */
  readonly link?: readonly (readonly Mask[] | undefined)[];
  /** Share of the device while windows of other streams wait too; default `normal`. */
  readonly priority?: Priority | undefined;
  readonly signal?: AbortSignal;
}

/** Masks of one sentence in one window. */
export interface SentenceMasks {
  /** Index of the object query chosen. */
  readonly objectQuery: number;
  /** Referred score of the chosen query, 0…1, mean over the window's frames (model-spec §8.1). */
  readonly score: number;
  /** Referred scores of all N object queries. */
  readonly scores: Float32Array;
  /** One mask a kept frame at the frames' original size; with `queries: 'all'` N masks a frame, query-major. */
  readonly masks: readonly Mask[];
}

export interface WindowMasks {
  readonly sentences: readonly SentenceMasks[];
}

/** Everything device specific stays behind this. Calls may be made concurrently: a backend has
 * a `WindowScheduler` in front of each place where windows run. */
export interface Backend extends AsyncDisposable {
  readonly name: 'onnxruntime' | 'openvino' | 'tensorrt';
  /** What products are computed in, where the backend knows. */
  readonly precision?: 'fp32' | 'fp16' | 'bf16' | undefined;
  /** The child process that computes, if there is one and it runs. */
  readonly pid?: number | undefined;
  /** Windows of one video that are worth handing over before the first one's masks are back; at least 1. */
  readonly windowsInFlight: number;
  encodeText(sentences: readonly TokenizedSentence[], options?: { signal?: AbortSignal }): Promise<TextFeatures[]>;
  segment(window: Frames, texts: readonly TextFeatures[], options?: SegmentOptions): Promise<WindowMasks>;
  dispose(): Promise<void>;
}
