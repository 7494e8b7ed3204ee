import { RvosError, throwIfAborted } from '../../errors.js';
import type { OpenVideoOptions, RgbFrame, VideoInfo, VideoReader } from '../frame.js';
import { checkTrim, noFramesIn, type Trim } from '../trim.js';
import { decodePicture, type Picture, type PicturePath } from './picture.js';
import type { PictureFolder } from './picture-folder.js';

/** As ffmpeg takes image sequences, unless told otherwise. */
export const defaultImageFrameRate = 25;

/**
 * Frames from pictures, in the order given, frame i at i / frame rate seconds. All must have the size of the first. Colours are
 * as stored (colour profiles are not applied, transparency is dropped, 16 bits become 8); EXIF orientation is applied.
 */
export class ImageFolderReader implements VideoReader {
  #started = false;
  #closed = false;

  private constructor(
    readonly info: VideoInfo,
    readonly warnings: readonly string[],
    private readonly pictures: readonly PicturePath[],
    private readonly first: Picture,
    private readonly rate: number,
    private readonly trim: Trim,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** `source` names them in messages. Throws NOT_FOUND, NOT_A_VIDEO for a damaged first picture, BAD_FRAME_SIZE, BAD_ARGUMENT. */
  static async open(
    source: string,
    { pictures, warnings }: PictureFolder,
    options: OpenVideoOptions,
  ): Promise<ImageFolderReader> {
    const trim = checkTrim(options);
    const rate = options.imageFrameRate ?? defaultImageFrameRate;
    if (!Number.isFinite(rate) || rate <= 0) {
      throw new RvosError('BAD_ARGUMENT', `frame rate ${rate} is not a positive number`, 'Give frames per second.');
    }
    throwIfAborted(options.signal);
    const first = await decodePicture(pictures[0]!, options);
    const info = {
      source,
      width: first.width,
      height: first.height,
      frameRate: rate,
      duration: pictures.length / rate,
      hasAudio: false,
    };
    return new ImageFolderReader(info, warnings, pictures, first, rate, trim, options.signal);
  }

  async *frames(): AsyncGenerator<RgbFrame, void, undefined> {
    if (this.#started) throw new Error('frames() may be called once');
    this.#started = true;
    const { width, height, source, duration } = this.info;
    let yielded = 0;
    for (const [index, place] of this.pictures.entries()) {
      throwIfAborted(this.signal);
      if (this.#closed) return;
      const time = index / this.rate;
      if (time < this.trim.start) continue;
      if (time >= this.trim.end) {
        if (yielded === 0) throw noFramesIn(source, this.trim, duration, true);
        return;
      }
      const picture = index === 0 ? this.first : await decodePicture(place, { signal: this.signal });
      if (picture.width !== width || picture.height !== height) {
        throw new RvosError(
          'BAD_FRAME_SIZE',
          `${place.name} has ${picture.width}×${picture.height} pixels, the first image ${width}×${height}`,
          'Give images of one size.',
        );
      }
      yielded++;
      yield { width, height, data: picture.data, time, duration: 1 / this.rate };
    }
    if (yielded === 0) throw noFramesIn(source, this.trim, duration, false);
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
