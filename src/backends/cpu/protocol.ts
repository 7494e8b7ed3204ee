/**
 * What the backend and its child process say to each other, over Node's IPC channel with `advanced` serialization.
 * One job at a time: `encode-text`, or `window` + its new frames + `segment`. The child answers a job with any number
 * of partial replies and then exactly one of `hello`, `text`, `done` or `failed`.
 */
export type ToProcess =
  | HelloMessage
  | CancelMessage
  | EncodeTextMessage
  | WindowMessage
  | FrameMessage
  | SegmentMessage;

/** Asks whether everything loads; answered by `hello`. */
export interface HelloMessage {
  readonly kind: 'hello';
}

/**
 * Ends the job under way, whatever it has sent so far; answered by `cancelled`, behind which nothing of that job follows.
 * Overtakes the messages before it.
 */
export interface CancelMessage {
  readonly kind: 'cancel';
}

export interface EncodeTextMessage {
  readonly kind: 'encode-text';
  /** Path of the text encoder's graph. */
  readonly graph: string;
  readonly padId: number;
  /** Token ids of each sentence, unpadded. */
  readonly sentences: readonly (readonly number[])[];
}

/** Opens a window: says which frames follow, and which of the frames of the stream's last window are used again. */
export interface WindowMessage {
  readonly kind: 'window';
  readonly stream: number;
  /** Index of the window's first frame in the video. */
  readonly start: number;
  /** T */
  readonly count: number;
  /** The first `shared` frames are in the child already, normalised. */
  readonly shared: number;
  /** Network input size. */
  readonly height: number;
  readonly width: number;
  readonly mean: readonly number[];
  readonly std: readonly number[];
  /** Streams whose frames are no longer needed. */
  readonly forget: readonly number[];
}

export interface FrameMessage {
  readonly kind: 'frame';
  /** Position in the window. */
  readonly position: number;
  /** uint8 [h, w, 3], resized. */
  readonly pixels: Uint8Array;
}

/** A graph and the number of frames it is written for. */
export interface FramesGraph {
  readonly path: string;
  readonly frames: number;
}

/** The graphs that a window may run on. */
export interface WindowGraphs {
  /** Any of them gives the same; the first one would be made if none is open yet. */
  readonly backbones: readonly FramesGraph[];
  /** Takes `frames` at a time. */
  readonly transformer: FramesGraph;
}

export interface SegmentMessage {
  readonly kind: 'segment';
  readonly graphs: WindowGraphs;
  readonly texts: readonly { readonly tokens: number; readonly features: Float32Array }[];
  /** Positions kept after the backbone. */
  readonly frames: readonly number[];
  readonly queries: 'best' | 'all';
  /** Bit-packed masks of the first kept frames, from the window before; see `SegmentOptions.link`. */
  readonly link: readonly (readonly Uint8Array[] | undefined)[];
  /** Size of the masks. */
  readonly originalHeight: number;
  readonly originalWidth: number;
}

export type FromProcess =
  /** Version of the runtime's library. */
  | { readonly kind: 'hello'; readonly version: string }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'text'; readonly texts: readonly { tokens: number; features: Float32Array }[] }
  | {
      readonly kind: 'sentence';
      readonly sentence: number;
      readonly objectQuery: number;
      readonly score: number;
      readonly scores: Float32Array;
    }
  /** Masks number `first`, `first` + 1, … of a sentence, one after another. */
  | { readonly kind: 'masks'; readonly sentence: number; readonly first: number; readonly bits: Uint8Array }
  /** `replace`: the library has leaked so much that the process had better make room for another. */
  | { readonly kind: 'done'; readonly replace: boolean }
  | {
      readonly kind: 'failed';
      readonly reason: 'load' | 'memory' | 'run';
      readonly message: string;
      /** Where whoever failed knows one. */
      readonly remedy?: string | undefined;
    };
