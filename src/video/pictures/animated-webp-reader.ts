import { throwIfAborted } from '../../errors.js';
import type { OpenVideoOptions, RgbFrame, VideoInfo, VideoReader } from '../frame.js';
import { checkFrameSize } from '../frame-size.js';
import { checkTrim, noFramesIn, type Trim } from '../trim.js';
import { metadata, open, type PicturePath, readPicture, toRgb } from './picture.js';

/** Most bytes of pixels that are decoded at a time. Every time the animation is decoded from its beginning. */
const chunkBytes = 64 << 20;

/** As browsers show what says that it is shown for no time. */
const unsaidMilliseconds = 100;

/** True for the first bytes (at least 21) of an animated WebP file. */
export function isAnimatedWebp(head: Buffer): boolean {
  const at = (from: number) => head.toString('latin1', from, from + 4);
  return head.length > 20 && at(0) === 'RIFF' && at(8) === 'WEBP' && at(12) === 'VP8X' && (head[20]! & 0x02) !== 0;
}

/** Frames of an animated WebP, which few releases of ffmpeg can read, through sharp; times as the file says. */
export class AnimatedWebpReader implements VideoReader {
  readonly warnings: readonly string[] = [];
  #started = false;
  #closed = false;

  private constructor(
    readonly info: VideoInfo,
    private readonly bytes: Buffer,
    /** Seconds at which each frame begins, and the end. */
    private readonly times: readonly number[],
    private readonly trim: Trim,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Throws NOT_FOUND, NOT_A_VIDEO if it is damaged, BAD_FRAME_SIZE, BAD_ARGUMENT, ABORTED. */
  static async open(place: PicturePath, options: OpenVideoOptions): Promise<AnimatedWebpReader> {
    const trim = checkTrim(options);
    const bytes = await readPicture(place);
    throwIfAborted(options.signal);
    const { width, height, pageHeight = height, pages = 1, delay = [] } = await metadata(open(bytes), place.name);
    checkFrameSize(place.name, width, pageHeight);
    const times = [0];
    for (let i = 0; i < pages; i++) times.push(times[i]! + (delay[i] || unsaidMilliseconds) / 1000);
    const duration = times[pages]!;
    const info = {
      source: place.name,
      width,
      height: pageHeight,
      frameRate: pages / duration,
      duration,
      hasAudio: false,
    };
    return new AnimatedWebpReader(info, bytes, times, trim, options.signal);
  }

  async *frames(): AsyncGenerator<RgbFrame, void, undefined> {
    if (this.#started) throw new Error('frames() may be called once');
    this.#started = true;
    const { width, height, source, duration } = this.info;
    const { start, end } = this.trim;
    const wanted = this.times.slice(0, -1).flatMap((time, index) => (time >= start && time < end ? [index] : []));
    if (wanted.length === 0) throw noFramesIn(source, this.trim, duration, start < this.times.at(-2)!);
    const frameBytes = width * height * 3;
    const atOnce = Math.max(1, Math.floor(chunkBytes / frameBytes));
    for (let from = wanted[0]!; from <= wanted.at(-1)!; from += atOnce) {
      throwIfAborted(this.signal);
      const pages = Math.min(atOnce, wanted.at(-1)! + 1 - from);
      const { data } = await toRgb(open(this.bytes, { page: from, pages }), source);
      for (let i = 0; i < pages; i++) {
        if (this.#closed) return;
        const time = this.times[from + i]!;
        const shown = Math.min(this.times[from + i + 1]!, end) - time;
        // A copy: whoever holds one frame does not hold the whole chunk.
        yield { width, height, data: data.slice(i * frameBytes, (i + 1) * frameBytes), time, duration: shown };
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
