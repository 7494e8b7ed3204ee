import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RvosError, throwIfAborted } from '../errors.js';
import { sharp } from '../native/sharp.js';
import { ffmpegAbilities } from './ffmpeg.js';
import { FfmpegReader } from './ffmpeg-reader.js';
import type { OpenVideoOptions, RgbFrame, VideoInfo, VideoReader } from './frame.js';
import { checkFrameSize, maxFramePixels } from './frame-size.js';
import { checkTrim, noFramesIn, type Trim } from './trim.js';

/** As ffmpeg takes image sequences, unless told otherwise. */
export const defaultImageFrameRate = 25;

const imageName = /\.(png|jpe?g|webp|bmp)$/i;
/** One picture file is read whole: it cannot sensibly be longer than its pixels uncompressed. */
const maxImageBytes = maxFramePixels * 8;

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/**
 * Frames from a folder: every png, jpg, jpeg, webp and bmp in natural order of names (`frame2` before `frame10`), other
 * files and subfolders ignored, frame i at i / frame rate seconds. All must have the size of the first. Colours are as
 * stored (colour profiles are not applied, transparency is dropped, 16 bits become 8); EXIF orientation is applied.
 */
export class ImageFolderReader implements VideoReader {
  readonly warnings: readonly string[] = [];
  #started = false;
  #closed = false;

  private constructor(
    readonly info: VideoInfo,
    private readonly paths: readonly string[],
    private readonly first: Picture,
    private readonly rate: number,
    private readonly trim: Trim,
    private readonly signal: AbortSignal | undefined,
  ) {}

  /** Throws NO_FRAMES without images, NOT_FOUND if the folder cannot be listed, NOT_A_VIDEO for a damaged first image. */
  static async open(folder: string, options: OpenVideoOptions): Promise<ImageFolderReader> {
    const trim = checkTrim(options);
    const rate = options.imageFrameRate ?? defaultImageFrameRate;
    if (!Number.isFinite(rate) || rate <= 0) {
      throw new RvosError('BAD_ARGUMENT', `frame rate ${rate} is not a positive number`, 'Give frames per second.');
    }
    const entries = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
      throw new RvosError('NOT_FOUND', `${folder} cannot be listed (${error.code})`, 'Check its permissions.');
    });
    // Not the user's language: the same folder must give the same order everywhere.
    const { compare } = new Intl.Collator('en', { numeric: true });
    const names = entries.filter((name) => imageName.test(name) && !name.startsWith('.'));
    names.sort((a, b) => compare(a, b) || (a < b ? -1 : 1));
    if (names.length === 0) {
      throw new RvosError(
        'NO_FRAMES',
        `folder ${folder} holds no images`,
        'Images end in .png, .jpg, .jpeg, .webp or .bmp.',
      );
    }
    const paths = names.map((name) => join(folder, name));
    throwIfAborted(options.signal);
    const first = await decodePicture(paths[0]!, options);
    const info = {
      source: folder,
      width: first.width,
      height: first.height,
      frameRate: rate,
      duration: paths.length / rate,
      hasAudio: false,
    };
    return new ImageFolderReader(info, paths, first, rate, trim, options.signal);
  }

  async *frames(): AsyncGenerator<RgbFrame, void, undefined> {
    if (this.#started) throw new Error('frames() may be called once');
    this.#started = true;
    const { width, height, source, duration } = this.info;
    let yielded = 0;
    for (const [index, path] of this.paths.entries()) {
      throwIfAborted(this.signal);
      if (this.#closed) return;
      const time = index / this.rate;
      if (time < this.trim.start) continue;
      if (time >= this.trim.end) {
        if (yielded === 0) throw noFramesIn(source, this.trim, duration, true);
        return;
      }
      const picture = index === 0 ? this.first : await decodePicture(path, { signal: this.signal });
      if (picture.width !== width || picture.height !== height) {
        throw new RvosError(
          'BAD_FRAME_SIZE',
          `${path} has ${picture.width}×${picture.height} pixels, the first image ${width}×${height}`,
          'Give images of one size.',
        );
      }
      yielded++;
      yield { width, height, data: picture.data, time };
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

/** One picture as RGB. Throws `RvosError` NOT_A_VIDEO for a damaged one, BAD_FRAME_SIZE; file system errors as they are. */
export async function decodePicture(path: string, options: { signal?: AbortSignal | undefined }): Promise<Picture> {
  const { size } = await stat(path);
  if (size > maxImageBytes) throw new RvosError('BAD_FRAME_SIZE', `${path} is too large`, 'Give smaller images.');
  if (/\.bmp$/i.test(path)) return decodeWithFfmpeg(path, options.signal);
  // From memory: a file name is never interpreted by the image library.
  const bytes = await readFile(path);
  const damaged = (error: unknown) => {
    throw new RvosError('NOT_A_VIDEO', `${path} is not a readable image`, 'Remove or replace it.', { cause: error });
  };
  const image = sharp(bytes, { ignoreIcc: true, limitInputPixels: false, failOn: 'error' });
  const { width, height } = await image.metadata().catch(damaged);
  checkFrameSize(path, width, height);
  const { data, info } = await image
    .autoOrient()
    .toColourspace('srgb')
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch(damaged);
  return { width: info.width, height: info.height, data: withoutGrey(data, info.channels) };
}

/** Grey pictures may come back as one channel. */
function withoutGrey(data: Buffer, channels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let i = 0; i < data.length / channels; i++) rgb.fill(data[i * channels]!, i * 3, i * 3 + 3);
  return rgb;
}

/** BMP, which sharp's prebuilt library does not know. */
async function decodeWithFfmpeg(path: string, signal: AbortSignal | undefined): Promise<Picture> {
  const reader = await FfmpegReader.open(
    path,
    { path },
    await ffmpegAbilities(),
    signal === undefined ? {} : { signal },
  );
  for await (const frame of reader.frames()) return frame;
  throw new RvosError('NO_FRAMES', `${path} holds no picture`, 'Remove or replace it.');
}
