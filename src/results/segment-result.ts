import { argument, checkArgument, checkOptions, type Expectation } from '../arguments.js';
import { disposedError, RvosError, throwIfAborted } from '../errors.js';
import { AtomicFile } from '../files/atomic-output.js';
import type { Mask } from '../masks/mask.js';
import type { Box } from '../masks/statistics.js';
import { openOptions, type VideoRunOptions } from '../segment-options.js';
import type { KeptDownload } from '../video/download.js';
import type { VideoInfo, VideoReader } from '../video/frame.js';
import { openVideo } from '../video/open-video.js';
import { timestamp } from '../video/timestamps.js';
import type { VideoInput } from '../video/video-input.js';
import { checkFreeSpace } from './check-free-space.js';
import { checkOutputs } from './check-outputs.js';
import { drainInto, type FrameSink, type SinkContext, type SinkOpener } from './frame-sink.js';
import { decodedReader } from './held-source.js';
import { MaskSpool } from './mask-spool.js';
import { type MaskedVideoStyle, maskedVideoStyle } from './masked-video-style.js';
import { writeMasksJson } from './masks-json.js';
import { MasksPngSink } from './masks-png.js';
import { bytesOf, type OutputTarget, outputTarget, writeTo } from './output-target.js';
import {
  contactSheetOutput,
  cutOutsOutput,
  hasEnding,
  maskedVideoOutput,
  masksOutput,
  type OutputOpener,
  type OutputOptions,
  spoolBytes,
} from './outputs.js';
import type { OutputExtent, PlannedOutput } from './planned-output.js';
import type { SegmentationStream } from './segmentation-stream.js';
import type { QuerySummary, SegmentedFrame, SegmentSummary } from './segmented-frame.js';

/** What the frames of a result are decoded from again. */
export interface ResultInput {
  readonly video: VideoInput;
  /** A URL's file, until the result is disposed. */
  readonly download: KeptDownload;
}

/** How far an output is: frames written, and how many there are. */
export interface SaveProgress {
  readonly frames: number;
  readonly totalFrames: number;
}

/** An output of a result takes a signal of its own; the run's does not end it. */
export interface SaveOptions extends OutputOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called after each frame. */
  readonly onProgress?: ((progress: SaveProgress) => void) | undefined;
}

/** What an output as bytes or into a stream takes: there is nothing to replace. */
export type BytesOptions = Omit<SaveOptions, 'force'>;

const saveOptions: Record<keyof SaveOptions, Expectation> = {
  force: argument.flag,
  signal: argument.signal,
  onProgress: argument.callback,
};

/** Keeps the masks of a run until the result is made. */
class SpoolSink implements FrameSink {
  constructor(
    readonly spool: MaskSpool,
    readonly warnings: readonly string[],
  ) {}

  write({ masks }: SegmentedFrame): Promise<void> {
    return this.spool.append(masks);
  }

  async finish(): Promise<void> {}

  abort(): Promise<void> {
    return this.spool.close();
  }
}

/**
 * What `segmenter.segment` found. Masks lie in temporary files, run-length encoded, until the result is disposed
 * (`await using`, or `dispose()`). Outputs with pixels decode the video a second time.
 */
export class SegmentResult implements AsyncDisposable {
  #disposed = false;

  private constructor(
    private readonly summary: SegmentSummary,
    private readonly info: VideoInfo,
    private readonly spool: MaskSpool,
    private readonly input: ResultInput,
    private readonly options: VideoRunOptions,
  ) {}

  /** Runs a stream to its end. */
  static async collect(
    stream: SegmentationStream,
    input: ResultInput,
    options: VideoRunOptions,
  ): Promise<SegmentResult> {
    let spool: MaskSpool | undefined;
    const open: SinkOpener = async ({ sentences, video }) => {
      const { width, height } = video;
      const extent = { width, height, sentences: sentences.length, frames: stream.expectedFrames ?? 0 };
      const warnings = await checkFreeSpace([{ path: '', bytes: spoolBytes }], extent);
      spool = await MaskSpool.create(sentences.length, video);
      return new SpoolSink(spool, warnings);
    };
    const summary = await drainInto(stream, [open]);
    return new SegmentResult(summary, stream.video!, spool!, input, options);
  }

  get video(): SegmentSummary['video'] {
    return this.summary.video;
  }

  /** Score of each sentence, and of each of its windows. */
  get queries(): readonly QuerySummary[] {
    return this.summary.queries;
  }

  /** Seconds of each frame since the first. */
  get times(): readonly number[] {
    return this.summary.times;
  }

  /** The same as text, `00:00:01.040`. */
  get timestamps(): string[] {
    return this.times.map(timestamp);
  }

  /** Messages that are not failures, such as a truncated file. */
  get warnings(): readonly string[] {
    return this.summary.warnings;
  }

  /** The masks of one sentence, frame by frame. */
  async *masks(query: number): AsyncGenerator<Mask, void, undefined> {
    this.#checkQuery(query);
    yield* this.spool.masks(query);
  }

  /** The mask of one sentence in one frame. Reads those before it: for all frames take `masks`. */
  async mask(query: number, frame: number): Promise<Mask> {
    this.#checkQuery(query);
    checkArgument('frame', frame, argument.integer(0, this.times.length - 1));
    let index = 0;
    for await (const mask of this.spool.masks(query)) if (index++ === frame) return mask;
    throw new RvosError('BAD_ARGUMENT', `there is no frame ${frame}`, `Frames are numbered 0 to ${index - 1}.`);
  }

  /** Scores, times and warnings, without masks, for `JSON.stringify`; `saveMasks` writes the masks. */
  toJSON(): SegmentSummary {
    return this.summary;
  }

  /** The bounding boxes of one sentence's masks, frame by frame. */
  async *boxes(query: number): AsyncGenerator<Box, void, undefined> {
    this.#checkQuery(query);
    for await (const { box } of this.spool.rows(query)) yield box;
  }

  /** Frames with their masks: the video is decoded again. */
  async *frames(): AsyncGenerator<SegmentedFrame, void, undefined> {
    this.#checkUsable();
    const reader = await this.#openAgain();
    try {
      yield* this.#withMasks(reader);
    } finally {
      await reader.close();
    }
  }

  /**
   * MP4 with the masks painted over the frames, captions above, the sound kept. To a path, or into a stream, which is ended: an HTTP
   * response, for example. Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE, DISK_FULL, FFMPEG_FAILED, BAD_ARGUMENT, DISPOSED, ABORTED.
   */
  async saveMaskedVideo(target: OutputTarget, options: SaveOptions & MaskedVideoStyle = {}): Promise<void> {
    this.#checkSave('saveMaskedVideo', target, options, { ...saveOptions, ...maskedVideoStyle });
    await writeTo(target, 'masked.mp4', options.signal, (path) =>
      this.#save(maskedVideoOutput(path, options), options),
    );
  }

  /** The same as bytes, all in memory: for short videos. */
  async maskedVideoBytes(options: BytesOptions & MaskedVideoStyle = {}): Promise<Uint8Array> {
    return bytesOf('masked.mp4', (path) => this.saveMaskedVideo(path, options));
  }

  /** PNG: frames in columns, sentences in rows. To a path or into a stream; errors as those of `saveMaskedVideo`. */
  async saveContactSheet(target: OutputTarget, options: SaveOptions = {}): Promise<void> {
    this.#checkSave('saveContactSheet', target, options);
    await writeTo(target, 'sheet.png', options.signal, (path) =>
      this.#save(contactSheetOutput(path, options), options),
    );
  }

  /** The same as bytes. */
  async contactSheetBytes(options: BytesOptions = {}): Promise<Uint8Array> {
    return bytesOf('sheet.png', (path) => this.saveContactSheet(path, options));
  }

  /**
   * One sentence's object alone: WebM with alpha if the name ends in `.webm` or the target is a stream, else a folder of PNGs with
   * alpha. Errors as those of `saveMaskedVideo`.
   */
  async saveCutOuts(query: number, target: OutputTarget, options: SaveOptions = {}): Promise<void> {
    this.#checkQuery(query);
    this.#checkSave('saveCutOuts', target, options);
    await writeTo(target, 'alone.webm', options.signal, (path) =>
      this.#save(cutOutsOutput(query, path, options), options),
    );
  }

  /** One sentence's object alone as a WebM with alpha, in memory. */
  async cutOutsBytes(query: number, options: BytesOptions = {}): Promise<Uint8Array> {
    return bytesOf('alone.webm', (path) => this.saveCutOuts(query, path, options));
  }

  /**
   * COCO run lengths if the name ends in `.json` or the target is a stream, else a folder `<query>/<frame>.png`. Errors as those of
   * `saveMaskedVideo`, without those of ffmpeg.
   */
  async saveMasks(target: OutputTarget, options: SaveOptions = {}): Promise<void> {
    this.#checkSave('saveMasks', target, options);
    await writeTo(target, 'masks.json', options.signal, (path) => this.#saveMasks(path, options));
  }

  /** The JSON of the masks as bytes. */
  async masksBytes(options: BytesOptions = {}): Promise<Uint8Array> {
    return bytesOf('masks.json', (path) => this.saveMasks(path, options));
  }

  async #saveMasks(path: string, options: SaveOptions): Promise<void> {
    const { signal, onProgress } = options;
    const totalFrames = this.times.length;
    await this.#check(masksOutput(path, options).output, signal);
    if (hasEnding(path, '.json')) {
      const output = await AtomicFile.create(path, options);
      try {
        await writeMasksJson(output, this.spool, this.summary, signal);
        onProgress?.({ frames: totalFrames, totalFrames });
        return;
      } finally {
        await output.abort();
      }
    }
    const sink = await MasksPngSink.open(path, this.#context(signal), options);
    try {
      let index = 0;
      for await (const masks of this.spool.frameMasks()) {
        throwIfAborted(signal);
        await sink.write({ index: index++, masks });
        onProgress?.({ frames: index, totalFrames });
      }
      await sink.finish();
    } finally {
      await sink.abort();
    }
  }

  /** Removes the temporary files. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    await Promise.all([this.spool.close(), this.input.download.remove()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #checkSave(
    call: string,
    target: OutputTarget,
    options: object,
    known: Readonly<Record<string, Expectation>> = saveOptions,
  ): void {
    this.#checkUsable();
    checkArgument('target', target, outputTarget);
    checkOptions(call, options, known);
  }

  /** Refuses an output that cannot be written, before there is work to lose. */
  async #check(output: PlannedOutput, signal: AbortSignal | undefined): Promise<void> {
    this.#checkUsable();
    throwIfAborted(signal);
    await checkOutputs([output], this.input.video);
    const { width, height, frames } = this.video;
    // The masks are spooled already.
    const bytes = (extent: OutputExtent) => ({ output: output.bytes(extent).output });
    await checkFreeSpace([{ path: output.path, bytes }], { width, height, frames, sentences: this.queries.length });
  }

  /** Decodes the video a second time into one output. */
  async #save(open: OutputOpener, { signal, onProgress }: SaveOptions): Promise<void> {
    const totalFrames = this.times.length;
    await this.#check(open.output, signal);
    const reader = await this.#openAgain(signal);
    let sink: FrameSink | undefined;
    try {
      sink = await open({ ...this.#context(signal), video: reader.info });
      for await (const frame of this.#withMasks(reader)) {
        await sink.write(frame);
        reader.release?.(frame.frame);
        onProgress?.({ frames: frame.index + 1, totalFrames });
      }
      await sink.finish(this.summary);
    } finally {
      await Promise.allSettled([reader.close(), sink?.abort()]);
    }
  }

  /** The signal is that of this one output: the run's has done its work. */
  #context(signal: AbortSignal | undefined): SinkContext {
    const { start, end } = this.options;
    return { video: this.info, sentences: this.queries.map(({ text }) => text), part: { start, end }, signal };
  }

  async #openAgain(signal?: AbortSignal): Promise<VideoReader> {
    const { video, download: keptDownload } = this.input;
    if (video === '-') {
      throw new RvosError(
        'BAD_ARGUMENT',
        'standard input cannot be read a second time',
        'Save the video to a file, or use segmenter.stream().',
      );
    }
    const options = { ...openOptions(this.options), keptDownload };
    return decodedReader((signal) => openVideo(video, { ...options, signal }), signal);
  }

  async *#withMasks(reader: VideoReader): AsyncGenerator<SegmentedFrame, void, undefined> {
    const masks = this.spool.frameMasks();
    try {
      let index = 0;
      for await (const frame of reader.frames()) {
        const next = await masks.next();
        if (next.done) return;
        yield { index, time: this.times[index]!, frame, masks: next.value, window: this.#windowOf(index) };
        index++;
      }
    } finally {
      await masks.return();
    }
  }

  /** Number of the last window that holds a frame: its masks are the ones that stay. */
  #windowOf(index: number): number {
    return this.queries[0]!.windows.findLastIndex(({ start, end }) => start <= index && index < end);
  }

  #checkUsable(): void {
    if (this.#disposed) throw disposedError('result');
  }

  #checkQuery(query: number): void {
    this.#checkUsable();
    if (Number.isInteger(query) && query >= 0 && query < this.queries.length) return;
    throw new RvosError(
      'BAD_ARGUMENT',
      `there is no sentence ${query}`,
      `Sentences are numbered 0 to ${this.queries.length - 1}.`,
    );
  }
}
