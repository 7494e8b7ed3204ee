import { RvosError } from '../errors.js';
import { ffmpegAbilities, ffmpegEncoders } from './ffmpeg.js';
import type { Ratio } from './sample-aspect.js';
import { VideoEncoder } from './video-encoder.js';

/** A picture with transparency. */
export interface RgbaFrame {
  /** RGBA, row-major, uint8 [height, width, 4]; alpha 0 is transparent. */
  readonly data: Uint8Array;
  /** Seconds; must grow. The first frame's becomes 0. */
  readonly time: number;
  /** Seconds for which it is shown; default until the next one, the last one for as long as one usually is. */
  readonly duration?: number | undefined;
}

export interface CutoutVideoOptions {
  readonly width: number;
  readonly height: number;
  readonly frameRate: number | null;
  /** Displayed width of a pixel over its height; default square. */
  readonly sampleAspect?: Ratio | undefined;
  /** Replace an existing file. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

/** Writes pictures with transparency as WebM (VP9 with alpha), which browsers show over any background. */
export class CutoutVideoWriter implements AsyncDisposable {
  private constructor(
    private readonly encoder: VideoEncoder,
    private readonly options: CutoutVideoOptions,
  ) {}

  /** Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE, DISK_FULL, FFMPEG_MISSING, FFMPEG_FAILED (no VP9 encoder), ABORTED. */
  static async open(path: string, options: CutoutVideoOptions): Promise<CutoutVideoWriter> {
    const abilities = await ffmpegAbilities();
    if (!(await ffmpegEncoders()).has('libvpx-vp9')) {
      throw new RvosError(
        'FFMPEG_FAILED',
        'this ffmpeg cannot encode VP9, which cut-outs with transparency need',
        'Install a full build of ffmpeg (with libvpx), or write cut-outs as PNG.',
      );
    }
    const { width, height, frameRate, sampleAspect, force, signal } = options;
    const ratio = sampleAspect ? `${sampleAspect.numerator}/${sampleAspect.denominator}` : '1';
    const codec = [
      '-c:v',
      'libvpx-vp9',
      '-deadline',
      'realtime',
      '-cpu-used',
      '6',
      '-row-mt',
      '1',
      '-crf',
      '24',
      '-b:v',
      '0',
    ];
    const encoder = await VideoEncoder.open(path, {
      width,
      height,
      pixelFormat: 'rgba',
      frameRate,
      force,
      signal,
      container: 'webm',
      // VP9 keeps alpha as a second stream, without the hidden frames that would have no partner in it.
      pictures: [
        ...[...abilities.passthrough.slice(0, 2), '-enc_time_base', '1/1000'],
        ...['-vf', `setsar=${ratio}`, ...codec, '-auto-alt-ref', '0', '-pix_fmt', 'yuva420p'],
      ],
      muxer: ['-f', 'webm'],
    });
    return new CutoutVideoWriter(encoder, options);
  }

  /** Resolves when the frame's buffer may be reused. Throws DISK_FULL, FFMPEG_FAILED, ABORTED; nothing is left then. */
  async write(frame: RgbaFrame): Promise<void> {
    const { width, height } = this.options;
    if (frame.data.length !== width * height * 4) throw new RangeError(`a picture has ${frame.data.length} bytes`);
    await this.encoder.write([frame.data], frame.time, frame.duration);
  }

  async finish(): Promise<void> {
    await this.encoder.finish();
  }

  async abort(): Promise<void> {
    await this.encoder.abort();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }
}

/** Writes all frames of an iterable to a WebM with transparency; see {@link CutoutVideoWriter}. */
export async function writeCutoutVideo(
  path: string,
  frames: AsyncIterable<RgbaFrame> | Iterable<RgbaFrame>,
  options: CutoutVideoOptions,
): Promise<void> {
  const writer = await CutoutVideoWriter.open(path, options);
  try {
    for await (const frame of frames) await writer.write(frame);
    await writer.finish();
  } finally {
    await writer.abort();
  }
}
