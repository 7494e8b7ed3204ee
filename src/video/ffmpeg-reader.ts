import { RvosError, throwIfAborted } from '../errors.js';
import type { FfmpegAbilities } from './ffmpeg.js';
import { decodingFailure } from './ffmpeg-failure.js';
import { type FfmpegEnd, FfmpegProcess } from './ffmpeg-process.js';
import { inputGuards, probeFile } from './ffprobe.js';
import type { OpenVideoOptions, RgbFrame, VideoInfo, VideoReader } from './frame.js';
import { FramePool } from './frame-pool.js';
import { checkFrameSize, maxFramePixels } from './frame-size.js';
import { NutDemuxer } from './nut-demuxer.js';
import type { NutVideoStream } from './nut-syntax.js';
import { checkTrim, noFramesIn, type Trim } from './trim.js';

/** Where ffmpeg reads from: a regular file, or a descriptor it can read only once and in order. */
export type FfmpegInput = { readonly path: string } | { readonly descriptor: number };

/** Decoded frames kept ahead of the consumer. */
const framesAhead = 2;

/**
 * Decodes any container with the system's ffmpeg. Frames come through a pipe as NUT (see {@link NutDemuxer}), so each
 * brings its PTS; ffmpeg waits while `framesAhead` frames are not taken. The file is always decoded from its first frame:
 * that frame's PTS is time 0, which no seek could tell exactly. Frames before `start` are decoded but not converted.
 * Rotation is applied; pixels that are not square stay as they are; frames that change size midway are scaled to the first.
 */
export class FfmpegReader implements VideoReader {
  readonly warnings: string[] = [];
  readonly #process: FfmpegProcess;
  readonly #pool = new FramePool();
  readonly #trim: Trim;
  readonly #signal: AbortSignal | undefined;
  readonly #piped: boolean;
  readonly #demuxer: NutDemuxer;
  readonly #queue: { data: Uint8Array; pts: number }[] = [];
  readonly #source: string;
  #stream: NutVideoStream | null = null;
  #info: VideoInfo | null = null;
  #failure: unknown = null;
  #end: FfmpegEnd | null = null;
  #wake: () => void = () => {};
  #started = false;
  #closed = false;

  private constructor(source: string, input: FfmpegInput, abilities: FfmpegAbilities, options: OpenVideoOptions) {
    this.#source = source;
    this.#trim = checkTrim(options);
    this.#signal = options.signal;
    this.#piped = !('path' in input);
    this.#process = new FfmpegProcess(decoderArguments(input, abilities, this.#trim, options.threads), {
      stdin: 'path' in input ? 'ignore' : input.descriptor,
      stdout: 'pipe',
      signal: options.signal,
    });
    this.#demuxer = new NutDemuxer({
      stream: (stream) => {
        checkFrameSize(source, stream.width, stream.height);
        this.#stream = stream;
      },
      allocate: (bytes) => this.#pool.take(bytes),
      frame: (data, pts) => this.#queue.push({ data, pts }),
    });
    this.#process.stdout.on('data', (chunk: Buffer) => this.#receive(chunk)).on('error', () => {});
    this.#process.ended.then(
      (end) => this.#finish(end),
      (error: unknown) => this.#fail(error),
    );
  }

  /**
   * Starts decoding and waits for the first frame. `source` names the input in messages. Throws NOT_A_VIDEO, NO_FRAMES,
   * BAD_FRAME_SIZE, BAD_ARGUMENT, FFMPEG_FAILED, FFMPEG_MISSING, ABORTED.
   */
  static async open(
    source: string,
    input: FfmpegInput,
    abilities: FfmpegAbilities,
    options: OpenVideoOptions,
  ): Promise<FfmpegReader> {
    throwIfAborted(options.signal);
    const reader = new FfmpegReader(source, input, abilities, options);
    try {
      const probing = 'path' in input ? probeFile(input.path, abilities, options.signal) : null;
      while (!(await reader.#available()));
      const stream = reader.#stream;
      if (stream === null || reader.#queue.length === 0) {
        throw decodingFailure(source, reader.#process.log, reader.#end!, reader.#piped);
      }
      const probed = await probing;
      throwIfAborted(options.signal);
      const log = reader.#process.log;
      reader.#info = {
        source,
        width: stream.width,
        height: stream.height,
        frameRate: probed === null ? log.frameRate : probed.frameRate,
        duration: probed?.duration ?? null,
        hasAudio: probed === null ? log.hasAudio : probed.audioCodec !== null,
        ...('path' in input && { file: input.path }),
        ...('path' in input && { file: input.path }),
      };
      return reader;
    } catch (error) {
      await reader.close();
      throw error;
    }
  }

  get info(): VideoInfo {
    return this.#info!;
  }

  async *frames(): AsyncGenerator<RgbFrame, void, undefined> {
    if (this.#started) throw new Error('frames() may be called once');
    this.#started = true;
    try {
      yield* this.#trimmed();
    } finally {
      await this.close();
    }
  }

  async *#trimmed(): AsyncGenerator<RgbFrame, void, undefined> {
    const { width, height, timeBase } = this.#stream!;
    const { start, end } = this.#trim;
    let first: number | null = null;
    let yielded = 0;
    let last = 0;
    for (;;) {
      while (!(await this.#available()));
      const next = this.#queue.shift();
      if (this.#queue.length < framesAhead) this.#process.stdout.resume();
      if (next === undefined) {
        if (this.#closed) return;
        break;
      }
      first ??= next.pts;
      // One division of exact integers: 1/25 s compares equal to the number 0.04.
      const time = ((next.pts - first) * timeBase.numerator) / timeBase.denominator;
      if (time >= end) {
        this.#pool.giveBack(next.data);
        if (yielded === 0) throw noFramesIn(this.#source, this.#trim, this.info.duration, true);
        return;
      }
      last = time;
      if (time < start) {
        this.#pool.giveBack(next.data);
        continue;
      }
      yielded++;
      yield { width, height, data: next.data, time };
    }
    this.#judgeEnd(last);
    if (yielded === 0) throw noFramesIn(this.#source, this.#trim, this.info.duration, false);
  }

  /** Gives a frame's buffer back for reuse; its pixels change from then on. Optional: frames not given back are collected. */
  release(frame: RgbFrame): void {
    this.#pool.giveBack(frame.data);
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#queue.length = 0;
    this.#pool.clear();
    this.#wake();
    await this.#process.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #receive(chunk: Buffer): void {
    if (this.#failure !== null || this.#closed) return;
    try {
      this.#demuxer.push(chunk);
    } catch (error) {
      this.#fail(error);
      void this.#process.kill();
    }
    if (this.#queue.length >= framesAhead) this.#process.stdout.pause();
    this.#wake();
  }

  #finish(end: FfmpegEnd): void {
    this.#end = end;
    this.#wake();
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.#wake();
  }

  /** True when a frame waits or none will come; false when something changed. Throws what went wrong. */
  async #available(): Promise<boolean> {
    throwIfAborted(this.#signal);
    if (this.#failure !== null) throw this.#failure;
    if (this.#queue.length > 0 || this.#end !== null || this.#closed) return true;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
    return false;
  }

  /** ffmpeg has written all it could: says so if that was not the whole video. */
  #judgeEnd(last: number): void {
    const { log } = this.#process;
    if (this.#closed || this.#process.killed) return;
    const how = this.#end!.signal;
    if (how !== null || this.#demuxer.incomplete) {
      throw new RvosError(
        'FFMPEG_FAILED',
        `ffmpeg was ended (${how ?? `code ${this.#end!.code}`}) while decoding ${this.#source}`,
        'If memory was short, close other programs or scale the video down; else try again.',
      );
    }
    const { duration, frameRate } = this.info;
    // Sound may last a little longer than pictures, and some files state a rounded length.
    const missing = duration === null ? 0 : duration - last - 1 / (frameRate ?? 25);
    if (log.errorCount > 0) {
      const times = log.errorCount > 1 ? `, and ${log.errorCount - 1} more` : '';
      this.warnings.push(
        `${this.#source} is damaged or cut off (ffmpeg: ${log.summary}${times}); what can be decoded is used, up to ${last.toFixed(2)} s`,
      );
    } else if (missing > Math.max(1, 0.05 * duration!)) {
      this.warnings.push(
        `${this.#source} ends at ${last.toFixed(2)} s although it claims ${duration!.toFixed(2)} s; what is there is used`,
      );
    }
  }
}

function decoderArguments(
  input: FfmpegInput,
  abilities: FfmpegAbilities,
  trim: Trim,
  threads: number | undefined,
): string[] {
  // The first frame always passes: its time is the origin. Exact comparison with `start` is done on this side.
  const skip = trim.start > 0.01 ? ['-vf', `select='eq(n,0)+gte(t-start_t,${(trim.start - 0.01).toFixed(6)})'`] : [];
  return [
    ...inputGuards(abilities),
    ...['-max_pixels', String(maxFramePixels)],
    ...(threads === undefined ? [] : ['-threads', String(threads)]),
    ...['-i', 'path' in input ? `file:${input.path}` : 'pipe:0'],
    ...['-map', '0:V:0', '-map_metadata', '-1', ...skip],
    ...abilities.passthrough,
    ...['-c:v', 'rawvideo', '-pix_fmt', 'rgb24', '-f', 'nut', '-write_index', '0', 'pipe:1'],
  ];
}
