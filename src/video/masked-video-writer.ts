import { type AudioSource, audioArguments } from './audio-arguments.js';
import { type Caption, captionStrips, stripHeight } from './captions/captions.js';
import { missingLetters } from './captions/missing-letters.js';
import { ffmpegAbilities, ffmpegEncoders } from './ffmpeg.js';
import type { RgbFrame } from './frame.js';
import type { Ratio } from './sample-aspect.js';
import { chooseCodec, type VideoCodec } from './video-codec.js';
import { timeScale, VideoEncoder } from './video-encoder.js';

export interface MaskedVideoOptions {
  /** Size of the frames; the video is higher by the captions' strips, and each side rounded up to an even number. */
  readonly width: number;
  readonly height: number;
  /** Frames per second where known; the frames' own times are kept either way. */
  readonly frameRate: number | null;
  /** A strip above the picture for each, centred on black in its colour. */
  readonly captions: readonly Caption[];
  /** The file whose sound goes along: copied if it is AAC or MP3 and not trimmed, else encoded as AAC. */
  readonly audioFrom?: AudioSource;
  /** Displayed width of a pixel over its height; default square. */
  readonly sampleAspect?: Ratio | undefined;
  /** Default `h264`. */
  readonly codec?: VideoCodec | undefined;
  /** 0…100; default 65. */
  readonly quality?: number | undefined;
  /** Replace an existing file. */
  readonly force?: boolean;
  readonly signal?: AbortSignal;
}

/**
 * Writes frames, masks already painted, as an MP4 that browsers play (H.264, yuv420p, index in front). Odd sizes are padded
 * to even ones by repeating the last column and row.
 */
export class MaskedVideoWriter implements AsyncDisposable {
  readonly #padding: Uint8Array;

  private constructor(
    private readonly encoder: VideoEncoder,
    private readonly options: MaskedVideoOptions,
    private readonly strips: Uint8Array,
    /** Messages that are not failures, such as an encoder that browsers may not play; complete after the first frame. */
    readonly warnings: readonly string[],
  ) {
    this.#padding = new Uint8Array(options.width % 2 === 0 ? 0 : (options.width + 1) * options.height * 3);
  }

  /** Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE, DISK_FULL, FFMPEG_MISSING, FFMPEG_FAILED (no encoder), ABORTED. */
  static async open(path: string, options: MaskedVideoOptions): Promise<MaskedVideoWriter> {
    const { width, height, frameRate, captions, audioFrom, sampleAspect, force, signal } = options;
    const abilities = await ffmpegAbilities();
    const codec = chooseCodec(await ffmpegEncoders(), options.codec, options.quality);
    const evenWidth = width + (width % 2);
    const strip = stripHeight(height, captions.length);
    const scale = timeScale(frameRate);
    const ratio = sampleAspect ? `${sampleAspect.numerator}/${sampleAspect.denominator}` : '1';
    const warnings = [...codec.warnings, ...(await missingLetters(captions.map(({ text }) => text)))];
    const sound = async (firstTime: number): Promise<readonly string[]> => {
      const { options: taken, warnings: told } = await audioArguments(audioFrom!, firstTime, abilities, signal);
      warnings.push(...told);
      return taken;
    };
    const encoder = await VideoEncoder.open(path, {
      width: evenWidth,
      height: strip * captions.length + height + (height % 2),
      pixelFormat: 'rgb24',
      frameRate,
      force,
      signal,
      container: 'mp4',
      ...(audioFrom !== undefined && { sound }),
      pictures: [
        ...[...abilities.passthrough.slice(0, 2), '-enc_time_base', `1/${scale}`],
        // Players take HD for BT.709 whatever the file says: say it and do it, at every size.
        ...['-vf', `scale=out_color_matrix=bt709:out_range=tv,setsar=${ratio}`, '-pix_fmt', 'yuv420p'],
        ...['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709', '-color_range', 'tv'],
        ...codec.options,
      ],
      muxer: ['-video_track_timescale', String(scale), '-movflags', '+faststart', '-f', 'mp4'],
    });
    try {
      const strips = await captionStrips(captions, evenWidth, strip);
      return new MaskedVideoWriter(encoder, options, strips, warnings);
    } catch (error) {
      await encoder.abort();
      throw error;
    }
  }

  /** Resolves when the frame's buffer may be reused. Throws DISK_FULL, FFMPEG_FAILED, ABORTED; nothing is left then. */
  async write(frame: RgbFrame): Promise<void> {
    const { width, height } = this.options;
    if (frame.width !== width || frame.height !== height || frame.data.length !== width * height * 3) {
      throw new RangeError(`a frame of ${frame.width}×${frame.height} for a video of ${width}×${height}`);
    }
    const picture = width % 2 === 0 ? frame.data : this.#padWidth(frame);
    const rowBytes = (width + (width % 2)) * 3;
    const lastRow = height % 2 === 0 ? [] : [picture.subarray(picture.length - rowBytes)];
    const strips = this.strips.length === 0 ? [] : [this.strips];
    await this.encoder.write([...strips, picture, ...lastRow], frame.time, frame.duration);
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

  #padWidth(frame: RgbFrame): Uint8Array {
    const from = frame.width * 3;
    const to = from + 3;
    for (let y = 0; y < frame.height; y++) {
      const row = frame.data.subarray(y * from, (y + 1) * from);
      this.#padding.set(row, y * to);
      this.#padding.set(row.subarray(from - 3), y * to + from);
    }
    return this.#padding;
  }
}
