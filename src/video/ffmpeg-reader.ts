import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RvosError, throwIfAborted } from '../errors.js';
import { type ChosenStreams, chooseStreams } from './choose-streams.js';
import { type FfmpegAbilities, ffmpegFilters } from './ffmpeg.js';
import { decodingFailure } from './ffmpeg-failure.js';
import { type FfmpegEnd, FfmpegProcess } from './ffmpeg-process.js';
import { inputGuards, type ProbedFile, probeFile } from './ffprobe.js';
import type { OpenVideoOptions, RgbFrame, VideoInfo, VideoReader } from './frame.js';
import { FramePool } from './frame-pool.js';
import { checkFrameSize, maxFramePixels } from './frame-size.js';
import { FrameTimes } from './frame-times.js';
import { NutDemuxer } from './nut-demuxer.js';
import type { NutVideoStream } from './nut-syntax.js';
import { pictureFilters } from './picture-filters.js';
import type { PipedVideo } from './piped-video.js';
import { PrintedTimes } from './printed-times.js';
import { checkTrim, noFramesIn, type Trim } from './trim.js';

/** Where ffmpeg reads from: a regular file, or bytes that come once and in order. */
export type FfmpegInput =
  | {
      readonly path: string;
      /** Options in front of the input, for files that ffmpeg must not take for something else. */
      readonly options?: readonly string[];
    }
  | { readonly stream: Readable }
  | { readonly piped: PipedVideo };

const stillPicture = ['-f', 'image2', '-pattern_type', 'none'];

/** Decoded frames kept ahead of the consumer. */
const framesAhead = 2;

/** A frame on the video's time line. */
interface TimedFrame {
  readonly data: Uint8Array;
  /** Ticks of the stream's time base since the first frame. */
  readonly ticks: number;
}

/**
 * Decodes any container with the system's ffmpeg. Frames come through a pipe as NUT (see {@link NutDemuxer}), and their times
 * beside them (see {@link PrintedTimes}); ffmpeg waits while `framesAhead` frames are not taken. The file is always decoded from
 * its first frame: that frame's time is 0, which no seek could tell exactly, and which frames are wanted is decided here, by
 * times alone. Rotation is applied; pixels that are not square stay as they are; frames that change size midway are scaled to
 * the first picture's.
 */
export class FfmpegReader implements VideoReader {
  readonly warnings: string[] = [];
  readonly #process: FfmpegProcess;
  readonly #pool = new FramePool();
  readonly #trim: Trim;
  readonly #signal: AbortSignal | undefined;
  readonly #piped: boolean;
  readonly #demuxer: NutDemuxer;
  readonly #printed = new PrintedTimes();
  readonly #queue: { readonly data: Uint8Array; readonly pts: number }[] = [];
  readonly #source: string;
  readonly #probed: ProbedFile | null;
  readonly #chosen: ChosenStreams | null;
  #times: FrameTimes | null = null;
  #stream: NutVideoStream | null = null;
  #info: VideoInfo | null = null;
  /** PTS of the first picture, as ffmpeg counts the input. */
  #firstPts: number | null = null;
  #next: TimedFrame | undefined;
  #failure: unknown = null;
  #end: FfmpegEnd | null = null;
  #wake: () => void = () => {};
  #started = false;
  #closed = false;

  private constructor(source: string, input: FfmpegInput, setUp: SetUp, options: OpenVideoOptions) {
    this.#source = source;
    this.#trim = checkTrim(options);
    this.#signal = options.signal;
    this.#piped = !('path' in input);
    this.#probed = setUp.probed;
    this.#chosen = setUp.chosen;
    this.warnings.push(...setUp.warnings);
    this.#process = new FfmpegProcess(decoderArguments(input, setUp, options.threads), {
      stdin: 'path' in input ? 'ignore' : 'pipe',
      stdout: 'pipe',
      extra: 'pipe',
      signal: options.signal,
    });
    // Its end, early or not, is the process's to tell.
    const bytes = 'stream' in input ? input.stream : 'piped' in input ? input.piped.stream() : null;
    if (bytes) pipeline(bytes, this.#process.stdin, { signal: options.signal }).catch(() => {});
    this.#demuxer = new NutDemuxer({
      stream: (stream) => {
        checkFrameSize(source, stream.width, stream.height);
        this.#stream = stream;
      },
      allocate: (bytes) => this.#pool.take(bytes),
      frame: (data, pts) => this.#queue.push({ data, pts }),
    });
    this.#process.stdout.on('data', (chunk: Buffer) => this.#receive(chunk)).on('error', () => {});
    this.#process.extra
      .setEncoding('latin1')
      .on('data', (text: string) => {
        this.#printed.push(text);
        this.#wake();
      })
      .on('error', () => {});
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
    const setUp = await prepare(source, input, abilities, options);
    throwIfAborted(options.signal);
    const reader = new FfmpegReader(source, input, setUp, options);
    try {
      const first = await reader.#read();
      if (first === undefined) {
        // A still picture by its ending, perhaps with a pattern in its name that is none.
        if ('path' in input && !input.options && reader.#process.log.refusedStill) {
          await reader.close();
          return FfmpegReader.open(source, { ...input, options: stillPicture }, abilities, options);
        }
        throw decodingFailure(source, reader.#process.log, reader.#end!, reader.#piped);
      }
      reader.#next = first;
      reader.#info = reader.#describe(input);
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

  /** Each frame once the one after it is known, which says for how long it is shown. */
  async *#trimmed(): AsyncGenerator<RgbFrame, void, undefined> {
    const { width, height } = this.#stream!;
    const { start, end } = this.#trim;
    let yielded = 0;
    let current = this.#next;
    this.#next = undefined;
    while (current !== undefined) {
      const { data, ticks }: TimedFrame = current;
      const next = await this.#read();
      if (next === undefined && this.#closed) return;
      if (this.#isBefore(ticks, start)) {
        this.#pool.giveBack(data);
      } else if (!this.#isBefore(ticks, end)) {
        this.#pool.giveBack(data);
        if (next) this.#pool.giveBack(next.data);
        if (yielded === 0) throw noFramesIn(this.#source, this.#trim, this.info.duration, true);
        return;
      } else {
        if (next === undefined) this.#judgeEnd(ticks);
        const until = next === undefined ? this.#endOfLast(ticks) : this.#seconds(next.ticks);
        const time = this.#seconds(ticks);
        yielded++;
        yield { width, height, data, time, duration: Math.min(until, end) - time };
      }
      current = next;
    }
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

  #describe(input: FfmpegInput): VideoInfo {
    const { width, height, timeBase, sampleAspect } = this.#stream!;
    const { log } = this.#process;
    const video = this.#chosen?.video;
    const offset = (this.#firstPts! * timeBase.numerator) / timeBase.denominator;
    const end = video?.end ?? null;
    const audio = this.#chosen?.audio ?? [];
    const known = this.#chosen !== null;
    if (log.unknownMatrix !== null)
      this.warnings.push(`${this.#source}: ffmpeg says “${log.unknownMatrix}”; colours may be wrong`);
    return {
      source: this.#source,
      width,
      height,
      frameRate: video ? video.frameRate : log.frameRate,
      duration: end === null ? null : Math.max(0, end - offset),
      ...(sampleAspect.numerator !== sampleAspect.denominator && { sampleAspect }),
      hasAudio: known ? audio.length > 0 : log.hasAudio,
      ...('path' in input && {
        file: input.path,
        sound: {
          streams: audio,
          firstPicture: (video?.origin ?? 0) + offset,
          mayGoBack: this.#probed?.timesMayGoBack ?? false,
        },
      }),
    };
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

  /** The next frame on the time line; undefined when there is none. Throws what went wrong. */
  async #read(): Promise<TimedFrame | undefined> {
    for (;;) {
      throwIfAborted(this.#signal);
      if (this.#failure !== null) throw this.#failure;
      if (this.#closed) return undefined;
      if (this.#queue.length > 0 && (this.#printed.count > 0 || this.#end !== null)) break;
      if (this.#end !== null) return undefined;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const { data, pts: muxed } = this.#queue.shift()!;
    if (this.#queue.length < framesAhead) this.#process.stdout.resume();
    const pts = this.#printed.take(muxed);
    this.#firstPts ??= muxed;
    const { numerator, denominator } = this.#stream!.timeBase;
    const rate = this.#chosen?.video.frameRate ?? this.#process.log.frameRate ?? 25;
    this.#times ??= new FrameTimes(denominator / numerator / rate);
    const wasUnchanged = this.#times.unchanged;
    const { ticks, wentBack } = this.#times.next(pts);
    if (wentBack && wasUnchanged) {
      this.warnings.push(
        `times of ${this.#source} go back after ${this.#seconds(ticks).toFixed(2)} s, as in joined recordings; they go on from the frame before`,
      );
    }
    return { data, ticks };
  }

  /** Seconds since the first frame, by one division of exact integers: 1/25 s compares equal to the number 0.04. */
  #seconds(ticks: number): number {
    const { numerator, denominator } = this.#stream!.timeBase;
    return (ticks * numerator) / denominator;
  }

  /**
   * Whether a frame lies before a time. Containers round times to their ticks, and times are given and printed in milliseconds: half
   * of either is no difference, unless frames follow one another faster.
   */
  #isBefore(ticks: number, time: number): boolean {
    const tick = this.#seconds(1);
    const frame = this.#seconds(this.#times!.usualDuration);
    return this.#seconds(ticks) < time - Math.max(tick / 2, Math.min(0.0005, frame / 4));
  }

  /** Seconds at which the video's last frame ends: the container's word, if it can be meant, else the usual duration. */
  #endOfLast(ticks: number): number {
    const usual = this.#seconds(ticks + this.#times!.usualDuration);
    const { duration } = this.info;
    const said = duration !== null && this.#probed?.hasFrameDurations === true && this.#times!.unchanged;
    if (!said || this.#process.log.damage !== null) return usual;
    return duration > this.#seconds(ticks) ? duration : usual;
  }

  /** ffmpeg has written all it could: says so if that was not the whole video. */
  #judgeEnd(lastTicks: number): void {
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
    const last = this.#seconds(lastTicks);
    const { duration, frameRate } = this.info;
    // Some files state a rounded length.
    const missing = duration === null ? 0 : duration - last - 1 / (frameRate ?? 25);
    if (log.damage !== null) {
      const times = log.damageCount > 1 ? `, and ${log.damageCount - 1} more` : '';
      this.warnings.push(
        `${this.#source} is damaged or cut off (ffmpeg: ${log.damage}${times}); what can be decoded is used, up to ${last.toFixed(2)} s`,
      );
    } else if (!this.#probed?.hasFrameDurations && missing > Math.max(1, 0.05 * duration!)) {
      this.warnings.push(
        `${this.#source} ends at ${last.toFixed(2)} s although it claims ${duration!.toFixed(2)} s; what is there is used`,
      );
    }
  }
}

/** What is known and decided before ffmpeg starts. */
interface SetUp {
  readonly abilities: FfmpegAbilities;
  readonly probed: ProbedFile | null;
  readonly chosen: ChosenStreams | null;
  readonly filters: string;
  readonly warnings: readonly string[];
}

async function prepare(
  source: string,
  input: FfmpegInput,
  abilities: FfmpegAbilities,
  options: OpenVideoOptions,
): Promise<SetUp> {
  const header = 'path' in input ? (input.options ? null : input.path) : 'piped' in input ? input.piped.peeked() : null;
  const probed = header === null ? null : await probeFile(header, abilities, options.signal);
  if (probed === null && typeof (options.videoStream ?? options.audioStream) === 'number') {
    throw new RvosError(
      'BAD_ARGUMENT',
      `streams of ${source} cannot be chosen`,
      'That needs a file that ffprobe can read.',
    );
  }
  const chosen = probed === null ? null : chooseStreams(source, probed, options);
  const { chain, warnings } = pictureFilters(source, chosen?.video ?? null, options, await ffmpegFilters());
  return { abilities, probed, chosen, filters: chain, warnings };
}

function decoderArguments(input: FfmpegInput, setUp: SetUp, threads: number | undefined): string[] {
  const { abilities, chosen, filters } = setUp;
  const own = 'path' in input ? input.options : undefined;
  return [
    ...(own ? ['-protocol_whitelist', 'file,pipe', ...own] : inputGuards(abilities)),
    ...['-max_pixels', String(maxFramePixels)],
    ...(threads === undefined ? [] : ['-threads', String(threads)]),
    ...['-i', 'path' in input ? `file:${input.path}` : 'pipe:0'],
    ...['-map', chosen === null ? '0:V:0' : `0:${chosen.video.index}`, '-map_metadata', '-1', '-vf', filters],
    ...abilities.passthrough,
    ...['-c:v', 'rawvideo', '-pix_fmt', 'rgb24', '-f', 'nut', '-write_index', '0', 'pipe:1'],
  ];
}
