import { abortError, RvosError, throwIfAborted } from '../errors.js';
import { AtomicFile } from '../files/atomic-output.js';
import { diskFull, fileTooLarge } from '../files/output-error.js';
import { FfmpegProcess } from './ffmpeg-process.js';
import { matroskaFrameHeader, matroskaHeader, type PixelFormat } from './uncompressed-matroska.js';
import { verifyVideo } from './verify-video.js';

export interface EncoderOptions {
  readonly width: number;
  readonly height: number;
  readonly pixelFormat: PixelFormat;
  /** Frames per second where known; times of frames are kept either way. */
  readonly frameRate: number | null;
  /** Replace an existing file. */
  readonly force?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly container: 'mp4' | 'webm';
  /** Options of ffmpeg for the pictures: filters and codec. */
  readonly pictures: readonly string[];
  /**
   * Options of ffmpeg before those: further inputs, maps, codecs of sound. Asked for when the first picture comes, with
   * that picture's own time in seconds. Default: the pictures alone.
   */
  readonly sound?: ((firstTime: number) => Promise<readonly string[]>) | undefined;
  /** Options of ffmpeg for the container. */
  readonly muxer: readonly string[];
}

/**
 * Encodes pictures with their times through ffmpeg into a file that appears when it is complete. "Complete" is not what
 * ffmpeg says but what the finished file holds: it is read once more before it gets its name.
 */
export class VideoEncoder implements AsyncDisposable {
  #process: FfmpegProcess | null = null;
  #firstTime = 0;
  #lastTime = -1;
  /** The last picture and for how long it is shown, where that is longer than the encoder would show it. */
  #held: { readonly parts: readonly Uint8Array[]; readonly until: number } | null = null;
  #pictures = 0;
  #ended = false;

  private constructor(
    readonly path: string,
    private readonly file: AtomicFile,
    private readonly options: EncoderOptions,
  ) {}

  /**
   * Encodes a black picture for a trial, so that an encoder that does not work is found before there is work to lose.
   * Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE, DISK_FULL, FFMPEG_FAILED, ABORTED.
   */
  static async open(path: string, options: EncoderOptions): Promise<VideoEncoder> {
    throwIfAborted(options.signal);
    const file = await AtomicFile.create(path, { force: options.force ?? false });
    const encoder = new VideoEncoder(path, file, options);
    await encoder.#guard(() => encoder.#try());
    return encoder;
  }

  /**
   * Adds a picture: `parts` together are height·width pixels. Resolves when ffmpeg has taken it, so that its buffers may be
   * reused. `time` is in seconds and must grow; the first picture's becomes 0. `duration`: for how long it is shown if it is the
   * last one; default as long as a picture usually is. Throws DISK_FULL, FFMPEG_FAILED, ABORTED.
   */
  async write(parts: readonly Uint8Array[], time: number, duration?: number): Promise<void> {
    await this.#guard(async () => {
      const { width, height, pixelFormat } = this.options;
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      if (bytes !== width * height * (pixelFormat === 'rgba' ? 4 : 3))
        throw new RangeError(`a picture has ${bytes} bytes`);
      const process = this.#process ?? (await this.#start(time));
      const relative = time - this.#firstTime;
      if (!(relative > this.#lastTime)) throw new RangeError(`the time of a picture, ${time} s, does not grow`);
      this.#lastTime = relative;
      await this.#send(process, parts, relative, bytes);
      const end = duration === undefined ? relative : relative + duration;
      // Buffers are reused, so a picture that stays longer than usual is kept by copy.
      const stays = duration !== undefined && duration > 1.5 * this.#usual;
      this.#held = stays ? { parts: parts.map((part) => part.slice()), until: end - this.#usual } : null;
    });
  }

  /** Seconds that the container gives to the last picture. */
  get #usual(): number {
    return 1 / (this.options.frameRate ?? 25);
  }

  async #send(process: FfmpegProcess, parts: readonly Uint8Array[], time: number, bytes: number): Promise<void> {
    const { stdin } = process;
    await process.whileRunning<void>((resolve, reject) => {
      stdin.cork();
      stdin.write(matroskaFrameHeader(time, bytes));
      parts.forEach((part, i) => {
        const done = (error: Error | null | undefined) => (error ? reject(error) : resolve());
        if (i === parts.length - 1) stdin.write(part, done);
        else stdin.write(part);
      });
      stdin.uncork();
    });
    this.#pictures++;
  }

  /** Completes the file and gives it its name. Throws NO_FRAMES if no picture was written, else as `write`. */
  async finish(): Promise<void> {
    await this.#guard(async () => {
      const process = this.#process;
      if (process === null) {
        throw new RvosError('NO_FRAMES', `no frame was written to ${this.path}`, 'Nothing was left behind.');
      }
      if (this.#held !== null) {
        // The last picture's duration is not among the things that a stream of frames can say to every ffmpeg: shown again
        // where its usual duration begins, it lasts as long as it should.
        const { parts, until } = this.#held;
        await this.#send(
          process,
          parts,
          until,
          parts.reduce((sum, part) => sum + part.length, 0),
        );
      }
      process.stdin.end();
      const end = await process.ended;
      if (end.code !== 0) throw new Error(`ffmpeg ended with ${end.signal ?? `code ${end.code}`}`);
      throwIfAborted(this.options.signal);
      if (process.log.writeError !== null) throw new Error(process.log.writeError);
      const { container, signal } = this.options;
      await verifyVideo(this.file.temporaryPath, { container, frames: this.#pictures, signal });
      throwIfAborted(signal);
      await this.file.finish();
      this.#ended = true;
    });
  }

  /** Stops ffmpeg and removes what was written; does nothing after `finish()` or a second time. */
  async abort(): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#process?.kill();
    await this.file.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }

  async #start(time: number): Promise<FfmpegProcess> {
    const { options } = this;
    this.#firstTime = time;
    const sound = options.sound === undefined ? ['-map', '0:v:0'] : await options.sound(time);
    const args = [
      // Damage in a file whose sound goes along is no reason to lose the pictures.
      ...(options.sound === undefined ? ['-xerror'] : []),
      ...['-f', 'matroska', '-i', 'pipe:0', ...sound, ...options.pictures, ...options.muxer],
      // What the muxer gives to the last picture; the others last until the next one.
      ...['-bsf:v', `setts=duration=${this.#usual.toFixed(9)}/TB`],
      ...['-map_metadata', '-1', '-max_muxing_queue_size', '9999', '-y', `file:${this.file.temporaryPath}`],
    ];
    throwIfAborted(options.signal);
    this.#process = new FfmpegProcess(args, { stdin: 'pipe', stdout: 'ignore', signal: options.signal });
    this.#process.stdin.write(matroskaHeader(options));
    return this.#process;
  }

  async #try(): Promise<void> {
    const { options } = this;
    const bytes = options.width * options.height * (options.pixelFormat === 'rgba' ? 4 : 3);
    const args = ['-xerror', '-f', 'matroska', '-i', 'pipe:0', ...options.pictures, '-f', 'null', '-'];
    const trial = new FfmpegProcess(args, { stdin: 'pipe', stdout: 'ignore', signal: options.signal });
    this.#process = trial;
    trial.stdin.write(matroskaHeader(options));
    trial.stdin.write(matroskaFrameHeader(0, bytes));
    trial.stdin.end(new Uint8Array(bytes));
    const { code, signal } = await trial.ended;
    if (code !== 0) throw new Error(`ffmpeg ended with ${signal ?? `code ${code}`}`);
    this.#process = null;
  }

  /** After any failure nothing is left, and the reason is what ffmpeg said rather than a broken pipe. */
  async #guard(work: () => Promise<void>): Promise<void> {
    if (this.#ended)
      throw this.options.signal?.aborted ? abortError(this.options.signal) : new Error('the video has ended');
    try {
      throwIfAborted(this.options.signal);
      await work();
    } catch (error) {
      const reason = await this.#reason(error);
      await this.abort();
      throw reason;
    }
  }

  async #reason(error: unknown): Promise<unknown> {
    if (this.options.signal?.aborted) return abortError(this.options.signal);
    if (error instanceof RvosError || error instanceof RangeError || this.#process === null) return error;
    // A broken pipe comes before the last words of the one who broke it.
    const timer = setTimeout(() => void this.#process?.kill(), 5000);
    const missing = await this.#process.ended.then(
      () => null,
      (reason: unknown) => reason,
    );
    clearTimeout(timer);
    if (missing !== null) return missing;
    const { log } = this.#process;
    if (/No space left|Disk quota exceeded/i.test(log.writeError ?? '')) return diskFull(this.path, error);
    const { signal } = await this.#process.ended;
    if (signal === 'SIGXFSZ' || /File too large/i.test(log.writeError ?? '')) return fileTooLarge(this.path, error);
    return new RvosError(
      'FFMPEG_FAILED',
      `ffmpeg could not write ${this.path}: ${log.summary ?? (error instanceof Error ? error.message : 'unknown reason')}`,
      'Check that the disk has space and that ffmpeg is a full build.',
      { cause: error },
    );
  }
}

/**
 * Ticks a second in which all times of a constant frame rate are whole numbers (30000/1001 → multiples of 30000); 90000
 * for rates that are only averages.
 */
export function timeScale(frameRate: number | null): number {
  for (const divisor of [1, 1001]) {
    const base = Math.round((frameRate ?? 0) * divisor);
    if (base === 0 || base > 1e6 || Math.abs(base / divisor - frameRate!) > 1e-6 * frameRate!) continue;
    return base * Math.max(1, Math.ceil(10_000 / base));
  }
  return 90_000;
}
