import { abortError, throwIfAborted } from '../errors.js';
import type { RgbFrame, VideoInfo } from '../video/frame.js';
import { squarePixels } from '../video/sample-aspect.js';
import type { VideoInput } from '../video/video-input.js';
import { querySummary, type SegmentedFrame, type SegmentSummary, type WindowScore } from './segmented-frame.js';

/** Frames on their way in: a video reader, or what the caller of `segmentFrames` supplies. */
export interface FrameSource {
  readonly info: VideoInfo;
  readonly warnings: readonly string[];
  frames(): AsyncIterable<RgbFrame>;
  /** Hands a frame's memory back, once nobody will look at it again. */
  release?(frame: RgbFrame): void;
  close(): Promise<void>;
}

/** A source that is open; whoever opened it reads its frames. */
export type OpenSource = Omit<FrameSource, 'frames'>;

/** How far a run is. */
export interface SegmentProgress {
  /** Frames that have passed the network. */
  readonly frames: number;
  /** Frames to expect, from the container's duration; null where unknown. */
  readonly totalFrames: number | null;
  /** Windows computed. */
  readonly windows: number;
}

/** Frames with start ≤ time < end, in seconds from the video's first frame. */
export interface VideoPart {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
}

/** The work behind a stream. `begin` opens the source; `run` yields final frames and reports each window. */
export interface StreamJob {
  readonly sentences: readonly string[];
  /** The part of the video that is wanted, in seconds. */
  readonly part: VideoPart;
  /** What is read, where it is a video; outputs never replace it. */
  readonly input?: VideoInput | undefined;
  begin(signal: AbortSignal): Promise<OpenSource>;
  run(signal: AbortSignal, onWindow: (windows: readonly WindowScore[]) => void): AsyncIterable<SegmentedFrame>;
  readonly expectedFrames: (video: VideoInfo) => number | null;
  readonly onProgress?: ((progress: SegmentProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * A run under way: iterate it once to get the frames, in order, each as soon as no later window can change its masks.
 * Ending the loop early, `close()` and an abort all stop decoder and backend.
 */
export class SegmentationStream implements AsyncIterable<SegmentedFrame>, AsyncDisposable {
  readonly sentences: readonly string[];
  readonly part: VideoPart;
  readonly input: VideoInput | undefined;
  /** The caller's signal. */
  readonly signal: AbortSignal | undefined;
  /** Resolves once the stream is closed, or its caller's loop has ended. */
  readonly closed: Promise<void>;
  #tellClosed: () => void = () => undefined;
  readonly #job: StreamJob;
  readonly #controller = new AbortController();
  readonly #windows: WindowScore[][];
  readonly #times: number[] = [];
  #detach: () => void = () => undefined;
  #source: Promise<OpenSource> | undefined;
  #opened: OpenSource | undefined;
  #closing: Promise<void> | undefined;
  #iterated = false;

  constructor(job: StreamJob) {
    this.closed = new Promise((resolve) => {
      this.#tellClosed = resolve;
    });
    this.#job = job;
    this.sentences = job.sentences;
    this.part = job.part;
    this.input = job.input;
    this.signal = job.signal;
    this.#windows = job.sentences.map(() => []);
  }

  /** Opens the video, if iterating has not done so yet, and says what is known of it. */
  async start(): Promise<VideoInfo> {
    try {
      this.#source ??= this.#begin();
      this.#opened = await this.#source;
    } catch (error) {
      await this.close();
      throw this.#job.signal?.aborted ? abortError(this.#job.signal) : error;
    }
    return this.#opened.info;
  }

  /** Only a stream that has begun listens to its caller's signal: one that is never read leaves nothing there. */
  async #begin(): Promise<OpenSource> {
    const { signal } = this.#job;
    throwIfAborted(signal);
    if (signal && !this.#controller.signal.aborted) {
      const forward = () => this.#controller.abort(signal.reason);
      signal.addEventListener('abort', forward, { once: true });
      this.#detach = () => signal.removeEventListener('abort', forward);
    }
    return this.#job.begin(this.#controller.signal);
  }

  /** What is known of the video, once it is open. */
  get video(): VideoInfo | undefined {
    return this.#opened?.info;
  }

  /** Frames to expect, from the container's duration, once it is open; null where unknown. */
  get expectedFrames(): number | null {
    return this.#opened ? this.#job.expectedFrames(this.#opened.info) : null;
  }

  /** May be called once. */
  async *[Symbol.asyncIterator](): AsyncGenerator<SegmentedFrame, void, undefined> {
    if (this.#iterated) throw new Error('a segmentation stream can be iterated once');
    this.#iterated = true;
    await this.start();
    const totalFrames = this.expectedFrames;
    let windows = 0;
    try {
      const onWindow = (scores: readonly WindowScore[]) => {
        windows++;
        this.#job.onProgress?.({ frames: scores[0]?.end ?? 0, totalFrames, windows });
        scores.forEach((score, sentence) => {
          this.#windows[sentence]!.push(score);
        });
      };
      for await (const frame of this.#job.run(this.#controller.signal, onWindow)) {
        this.#times.push(frame.time);
        yield frame;
      }
    } catch (error) {
      throw this.#job.signal?.aborted ? abortError(this.#job.signal) : error;
    } finally {
      await this.close();
    }
  }

  /** Scores and times so far; complete when the iteration has ended. */
  summary(): SegmentSummary {
    const info = this.#opened?.info;
    return {
      video: {
        source: info?.source ?? '',
        width: info?.width ?? 0,
        height: info?.height ?? 0,
        frameRate: info?.frameRate ?? null,
        sampleAspect: info?.sampleAspect ?? squarePixels,
        frames: this.#times.length,
      },
      queries: this.sentences.map((text, i) => querySummary(text, [...this.#windows[i]!])),
      times: [...this.#times],
      warnings: [...(this.#opened?.warnings ?? [])],
    };
  }

  /** Gives the memory of a frame back, for whoever knows that nobody keeps it. */
  release(frame: SegmentedFrame): void {
    this.#opened?.release?.(frame.frame);
  }

  /** Stops decoder and backend and waits until they are gone; safe to call twice. */
  async close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#detach();
    if (!this.#controller.signal.aborted) this.#controller.abort(new Error('the stream was closed'));
    const source = await this.#source?.catch(() => undefined);
    await source?.close();
    this.#tellClosed();
  }
}
