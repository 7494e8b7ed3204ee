import { stat } from 'node:fs/promises';
import { RvosError } from '../errors.js';
import type { SegmentResult } from '../results/segment-result.js';
import type { SegmentationStream } from '../results/segmentation-stream.js';
import type { FrameOptions, SuppliedFrames } from '../results/supplied-frames.js';
import { frameMemory } from '../scheduling/frame-memory.js';
import type { RunOptions, Sentences, VideoRunOptions } from '../segment-options.js';
import { type RunObserver, Segmenter, type SegmenterOptions } from '../segmenter.js';
import { ffmpegAbilities } from '../video/ffmpeg.js';
import { probeFile } from '../video/ffprobe.js';
import type { VideoInput } from '../video/video-input.js';
import { deadlineSignal } from './deadline.js';

export interface Deadline {
  /** Seconds from the call after which the run ends with DEADLINE_EXCEEDED; default none. */
  readonly deadlineSeconds?: number;
}

export interface FrameSize {
  readonly width: number;
  readonly height: number;
}

export interface ServiceOptions {
  /** Videos up to so many seconds are short: a decoder is kept free for them; default 10. */
  readonly shortSeconds?: number;
  /** Frame sizes for which model, graphs and engines are made ready before `open` resolves; default none. */
  readonly warmUp?: readonly FrameSize[];
}

/** What a service is doing. */
export interface ServiceState {
  /** Runs that were asked for and have not ended. */
  readonly runs: number;
  /** Runs that wait for a decoder, and those that wait for memory for their next window. */
  readonly waiting: { readonly decoders: number; readonly memory: number };
  /** Bytes of frames in memory. */
  readonly frameBytes: number;
}

/**
 * A segmenter for many callers at once: windows of all runs take turns on one backend and share its batches, sentences that
 * were seen before are not encoded again, and frames in memory and decoders are bounded whatever the number of runs
 * (`configure`). Runs that find no room wait.
 */
export class SegmentationService implements AsyncDisposable {
  readonly shortSeconds: number;
  #runs = 0;
  #disposed = false;

  private constructor(
    readonly segmenter: Segmenter,
    options: ServiceOptions,
  ) {
    this.shortSeconds = options.shortSeconds ?? 10;
  }

  /** Throws what `Segmenter.open` throws; with `warmUp` also what a run throws. */
  static async open(options: SegmenterOptions & ServiceOptions = {}): Promise<SegmentationService> {
    const { shortSeconds, warmUp, ...rest } = options;
    const segmenter = await Segmenter.open(rest);
    try {
      return await SegmentationService.around(segmenter, { shortSeconds, warmUp });
    } catch (error) {
      await segmenter.dispose();
      throw error;
    }
  }

  /** A service around a segmenter that is open; the service disposes it. */
  static async around(segmenter: Segmenter, options: ServiceOptions = {}): Promise<SegmentationService> {
    const service = new SegmentationService(segmenter, options);
    for (const size of options.warmUp ?? []) await service.warmUp(size);
    return service;
  }

  /** Told how long steps of all runs took; for metrics. */
  set observer(observer: RunObserver | undefined) {
    this.segmenter.observer = observer;
  }

  get state(): ServiceState {
    return { runs: this.#runs, waiting: frameMemory.waiting, frameBytes: frameMemory.held };
  }

  /** Segments a video and resolves when all is done; as `Segmenter.segment`, with a deadline. */
  async segment(
    video: VideoInput,
    sentences: Sentences,
    options: VideoRunOptions & Deadline = {},
  ): Promise<SegmentResult> {
    const { deadlineSeconds, ...rest } = options;
    const { signal, end } = deadlineSignal(deadlineSeconds, options.signal);
    this.#begin();
    try {
      return await this.segmenter.segment(video, sentences, this.#placed(video, { ...rest, signal }));
    } finally {
      end();
      this.#runs--;
    }
  }

  /** Frames with their masks, window by window; as `Segmenter.stream`, with a deadline. */
  stream(video: VideoInput, sentences: Sentences, options: VideoRunOptions & Deadline = {}): SegmentationStream {
    const { deadlineSeconds, ...rest } = options;
    const { signal, end } = deadlineSignal(deadlineSeconds, options.signal);
    return this.#counted(() => this.segmenter.stream(video, sentences, this.#placed(video, { ...rest, signal })), end);
  }

  /** The same for frames that the caller supplies. */
  segmentFrames(
    frames: SuppliedFrames,
    sentences: Sentences,
    options: RunOptions & FrameOptions & Deadline = {},
  ): SegmentationStream {
    const { deadlineSeconds, ...rest } = options;
    const { signal, end } = deadlineSignal(deadlineSeconds, options.signal);
    return this.#counted(() => this.segmenter.segmentFrames(frames, sentences, { ...rest, signal }), end);
  }

  /** Runs a window of black frames of this size through the network, so that no request waits for graphs or engines. */
  async warmUp({ width, height }: FrameSize): Promise<void> {
    const { length } = this.segmenter.model.windows;
    const data = new Uint8Array(width * height * 3);
    const frames = Array.from({ length }, (_, i) => ({ width, height, data, time: i / 25 }));
    for await (const _ of this.segmentFrames(frames, ['anything']));
  }

  /** Ends the backend. Runs under way fail. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await this.segmenter.dispose();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #begin(): void {
    if (this.#disposed) throw new RvosError('BACKEND_FAILED', 'the service was disposed', 'Open a new one.');
    this.#runs++;
  }

  #counted(start: () => SegmentationStream, end: () => void): SegmentationStream {
    this.#begin();
    let stream: SegmentationStream;
    try {
      stream = start();
    } catch (error) {
      this.#runs--;
      end();
      throw error;
    }
    stream.closed.then(() => {
      this.#runs--;
      end();
    });
    return stream;
  }

  /** Files that ffprobe finds to be longer than a short one, and whatever is no file, leave a decoder to others. */
  #placed(video: VideoInput, options: VideoRunOptions): VideoRunOptions {
    const isLong = async (signal: AbortSignal) => {
      if (typeof video !== 'string' || !(await isFile(video))) return true;
      const probed = await probeFile(video, await ffmpegAbilities(), signal);
      const { start = 0, end = Number.POSITIVE_INFINITY } = options;
      return Math.min(end, probed?.duration ?? Number.POSITIVE_INFINITY) - start > this.shortSeconds;
    };
    return { isLong, ...options };
  }
}

async function isFile(path: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ?? false;
}
