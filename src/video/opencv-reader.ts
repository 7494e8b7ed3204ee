import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { RvosError, throwIfAborted } from '../errors.js';
import { chooseStreams } from './choose-streams.js';
import { ffmpegAbilities } from './ffmpeg.js';
import { type ProbedFile, type ProbedStream, probeFile } from './ffprobe.js';
import type { OpenVideoOptions, RgbFrame, VideoInfo, VideoReader } from './frame.js';
import { type MatLike, matToRgb } from './frame-iterable.js';
import { checkFrameSize } from './frame-size.js';
import { isHighDynamicRange } from './picture-filters.js';
import { isSquare } from './sample-aspect.js';
import { checkTrim, noFramesIn, type Trim } from './trim.js';

/** What is used of `@u4/opencv4nodejs`, an optional peer. */
interface Capture {
  get(property: number): number;
  readAsync(): Promise<MatLike & { readonly empty: boolean }>;
  release(): void;
}

const opencvSchema = z.object({
  VideoCapture: z.custom<new (path: string, api: number) => Capture>((value) => typeof value === 'function'),
});

/** What of a file and of the options only the other decoder sees to. */
function beyondOpencv(
  options: OpenVideoOptions,
  probed: ProbedFile | null,
  video: ProbedStream | undefined,
): readonly string[] {
  const first = probed?.streams.find(({ kind }) => kind === 'video');
  return [
    ...(options.deinterlace || video?.isInterlaced ? ['interlaced fields'] : []),
    ...(video !== undefined && isHighDynamicRange(video) ? ['HDR colours'] : []),
    ...(video !== undefined && video.index !== first?.index ? ['the stream that is meant'] : []),
    ...(video !== undefined && !isSquare(video.sampleAspect) ? ['pixels that are not square'] : []),
  ];
}

/** Its ffmpeg alone: other parts of OpenCV take names for addresses or pipelines. */
const ffmpegBackend = 1900;

/** OpenCV's numbers of capture properties. */
const property = { milliseconds: 0, width: 3, height: 4, frameRate: 5, frameCount: 7 } as const;

/**
 * Decodes with OpenCV, for those who have it: the same frames and times as {@link FfmpegReader} for files that OpenCV
 * reads. OpenCV does not say why it stopped, so damaged files end without a warning.
 */
export class OpencvReader implements VideoReader {
  readonly warnings: string[] = [];
  #capture: Capture | null;
  #started = false;

  private constructor(
    readonly info: VideoInfo,
    capture: Capture,
    private readonly trim: Trim,
    private readonly signal: AbortSignal | undefined,
  ) {
    this.#capture = capture;
  }

  /** `name` is the input in messages. Throws OPENCV_MISSING, NOT_A_VIDEO, NO_FRAMES, BAD_FRAME_SIZE, BAD_ARGUMENT, ABORTED. */
  static async open(path: string, name: string, options: OpenVideoOptions): Promise<OpencvReader> {
    const trim = checkTrim(options);
    const { VideoCapture } = await loadOpencv();
    const probed = await guardedProbe(path, options.signal);
    throwIfAborted(options.signal);
    let capture: Capture;
    try {
      // Without a folder in front a name could be taken for an address.
      capture = new VideoCapture(/^[/\\]|^[a-z]:[/\\]/i.test(path) ? path : `./${path}`, ffmpegBackend);
    } catch (error) {
      throw new RvosError('NOT_A_VIDEO', `OpenCV cannot open ${name}`, 'Try --decoder ffmpeg.', { cause: error });
    }
    const width = capture.get(property.width);
    const height = capture.get(property.height);
    const rate = capture.get(property.frameRate);
    const count = capture.get(property.frameCount);
    if (width < 1 || height < 1) {
      capture.release();
      throw new RvosError('NOT_A_VIDEO', `OpenCV finds no video in ${name}`, 'Try --decoder ffmpeg.');
    }
    try {
      checkFrameSize(name, width, height);
    } catch (error) {
      capture.release();
      throw error;
    }
    const chosen = probed === null ? null : chooseStreams(name, probed, options);
    const video = chosen?.video;
    const frameRate = video?.frameRate ?? (Number.isFinite(rate) && rate > 0 ? rate : null);
    const duration = frameRate !== null && count > 0 ? count / frameRate : null;
    const streams = chosen?.audio ?? [];
    const sound = { streams, firstPicture: video?.start ?? 0, mayGoBack: probed?.timesMayGoBack ?? false };
    const info = { source: name, width, height, frameRate, duration, hasAudio: streams.length > 0, file: path, sound };
    const reader = new OpencvReader(info, capture, trim, options.signal);
    const lost = beyondOpencv(options, probed, video);
    if (lost.length > 0) {
      reader.warnings.push(`OpenCV does not see to ${lost.join(', ')} of ${name}; --decoder ffmpeg does`);
    }
    return reader;
  }

  async *frames(): AsyncGenerator<RgbFrame, void, undefined> {
    if (this.#started) throw new Error('frames() may be called once');
    this.#started = true;
    const { source, duration, width, height } = this.info;
    const times = new CaptureTimes(this.info.frameRate ?? 25);
    let yielded = 0;
    try {
      while (this.#capture !== null) {
        throwIfAborted(this.signal);
        const capture: Capture = this.#capture;
        const mat = await capture.readAsync().catch(() => null);
        if (this.#capture === null) return;
        if (mat === null || mat.empty) {
          if (yielded === 0) throw noFramesIn(source, this.trim, duration, false);
          return;
        }
        const time = times.next(capture.get(property.milliseconds));
        if (time >= this.trim.end) {
          if (yielded === 0) throw noFramesIn(source, this.trim, duration, true);
          return;
        }
        if (time < this.trim.start) continue;
        if (mat.cols !== width || mat.rows !== height) {
          throw new RvosError(
            'BAD_FRAME_SIZE',
            `frames of ${source} change their size midway`,
            'Use --decoder ffmpeg.',
          );
        }
        yielded++;
        yield { width, height, data: matToRgb(mat, source), time };
      }
    } finally {
      await this.close();
    }
  }

  async close(): Promise<void> {
    this.#capture?.release();
    this.#capture = null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * Times of frames from what OpenCV says after each read. The last frames of a file come with 0 ms, and some containers give
 * nothing else: where the position does not grow, the frame is one frame period after the one before.
 */
export class CaptureTimes {
  #first: number | null = null;
  #last = 0;

  constructor(readonly frameRate: number) {}

  /** `milliseconds`: the position OpenCV gives for the next frame. Returns seconds since the first frame. */
  next(milliseconds: number): number {
    if (this.#first === null) {
      this.#first = Number.isFinite(milliseconds) ? milliseconds : 0;
      return 0;
    }
    const position = (milliseconds - this.#first) / 1000;
    const time = position > this.#last ? position : this.#last + 1 / this.frameRate;
    // Milliseconds hide that constant rates are fractions: 0.333 is 4/12.
    const index = Math.round(time * this.frameRate);
    const exact = index / this.frameRate;
    this.#last = Math.abs(exact - time) < 0.0006 && exact > this.#last ? exact : time;
    return this.#last;
  }
}

/**
 * What OpenCV does not tell (sound, the exact frame rate), where ffprobe is there; and the same limits for OpenCV's ffmpeg as
 * for ours: it must not follow a playlist to other files or addresses.
 */
async function guardedProbe(path: string, signal: AbortSignal | undefined): Promise<ProbedFile | null> {
  const abilities = await ffmpegAbilities().catch(() => null);
  const formats = abilities === null ? '' : `|format_whitelist;${abilities.demuxers}`;
  process.env.OPENCV_FFMPEG_CAPTURE_OPTIONS ??= `protocol_whitelist;file${formats}`;
  return abilities === null ? null : probeFile(path, abilities, signal);
}

/** The package beside rvos, or in the `node_modules` of the folder that RVOS_OPENCV names. */
async function loadOpencv(): Promise<z.infer<typeof opencvSchema>> {
  // A variable, so that compilers do not ask for types of a package that may be absent.
  const name = '@u4/opencv4nodejs';
  const folder = process.env.RVOS_OPENCV;
  try {
    const resolveFrom = folder ? pathToFileURL(join(resolve(folder), 'package.json')) : import.meta.url;
    const require = createRequire(resolveFrom);
    const { Log } = createRequire(require.resolve(name))('@u4/opencv-build') as { Log?: { silence: boolean } };
    // It would report on standard output, which may be our JSON.
    if (Log !== undefined) Log.silence = true;
    return opencvSchema.parse(require(name));
  } catch (error) {
    throw new RvosError(
      'OPENCV_MISSING',
      `the package ${name} is not installed or does not load`,
      `Install OpenCV's headers (apt-get install libopencv-dev) and npm install ${name}, or use --decoder ffmpeg.`,
      { cause: error },
    );
  }
}
