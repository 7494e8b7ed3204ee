import type { KeptDownload, VideoDownloadOptions } from './download.js';
import type { ProbedStream } from './ffprobe.js';
import type { Ratio } from './sample-aspect.js';

/** One decoded frame. */
export interface RgbFrame {
  readonly width: number;
  readonly height: number;
  /** RGB, row-major, uint8 [height, width, 3], no padding between rows. */
  readonly data: Uint8Array;
  /** Seconds: presentation time minus the file's first video presentation time. */
  readonly time: number;
  /** Seconds for which it is shown, where the source says: until the next frame, the last one until the video's end. */
  readonly duration?: number;
}

/** The sound that belongs to a video's pictures. */
export interface SoundSource {
  /** Streams that may go along, the first choice first. */
  readonly streams: readonly ProbedStream[];
  /** Seconds on the container's clock at which the first picture that was decoded is shown. */
  readonly firstPicture: number;
  /** False for containers whose times cannot go back. */
  readonly mayGoBack: boolean;
}

/** What is known of a video before its frames are decoded. */
export interface VideoInfo {
  /** Path or name the video came from, for messages. */
  readonly source: string;
  /** Size of decoded frames in pixels, rotation applied. */
  readonly width: number;
  readonly height: number;
  /** Average frames per second; null where the container does not say. */
  readonly frameRate: number | null;
  /** Seconds; null where unknown (a pipe). */
  readonly duration: number | null;
  /** Displayed width of a pixel over its height; absent where pixels are square or the source says nothing. */
  readonly sampleAspect?: Ratio;
  readonly hasAudio: boolean;
  /** The file that is decoded, for taking its sound along; absent for pipes and pictures. Temporary for a URL. */
  readonly file?: string;
  /** Where the file's sound lies; absent for pipes and pictures. */
  readonly sound?: SoundSource;
}

/** Decodes a video frame by frame; frames come in presentation order and every frame is decoded once. */
export interface VideoReader extends AsyncDisposable {
  readonly info: VideoInfo;
  /** Messages for the user that are not failures, such as a truncated file; complete when `frames()` has ended. */
  readonly warnings: readonly string[];
  /** May be called once. Only frames with start ≤ time < end are yielded. Throws `RvosError` (NO_FRAMES, NOT_A_VIDEO, ABORTED …). */
  frames(): AsyncIterable<RgbFrame>;
  /**
   * Optional: gives a frame's buffer back, to be reused for a later frame. The frame must not be read from then on. It
   * keeps memory flat and spares page faults; frames that are never given back are left to the garbage collector.
   */
  release?(frame: RgbFrame): void;
  /** Ends the decoder process and removes temporary files; safe to call twice. */
  close(): Promise<void>;
}

export interface OpenVideoOptions extends VideoDownloadOptions {
  /** Seconds, relative to the first frame. */
  readonly start?: number;
  readonly end?: number;
  readonly decoder?: 'ffmpeg' | 'opencv';
  readonly threads?: number;
  readonly signal?: AbortSignal;
  /** Frames per second of a folder of images; default 25. Other inputs bring their own times. */
  readonly imageFrameRate?: number;
  /** Let `-` stand for standard input; default: it is refused. */
  readonly standardInput?: boolean | undefined;
  /** Where a URL's download is kept for the next time it is opened; default: it is removed when the reader closes. */
  readonly keptDownload?: KeptDownload;
  /** Most bytes that are kept in a temporary file of what comes through a pipe or as a stream; default 4 GB. */
  readonly maxSpool?: number | undefined;
  /** Which stream's pictures, by ffprobe's `index`; default: the one marked as default, else the first. */
  readonly videoStream?: number | undefined;
  /** Which stream's sound goes along, by ffprobe's `index`; default: the default one of the picture's program. */
  readonly audioStream?: number | 'none' | undefined;
  /** Make whole pictures of interlaced fields. */
  readonly deinterlace?: boolean | undefined;
}
