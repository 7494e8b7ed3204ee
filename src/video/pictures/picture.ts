import { readFile, stat } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Metadata, Sharp } from 'sharp';
import { RvosError } from '../../errors.js';
import { sharp } from '../../native/sharp.js';
import { ffmpegAbilities } from '../ffmpeg.js';
import { FfmpegReader } from '../ffmpeg-reader.js';
import { checkFrameSize, maxFramePixels } from '../frame-size.js';

/** One picture file is read whole: it cannot sensibly be longer than its pixels uncompressed. */
const maxImageBytes = maxFramePixels * 8;

export interface Picture {
  readonly width: number;
  readonly height: number;
  /** RGB, uint8 [height, width, 3]. */
  readonly data: Uint8Array;
}

/** Where a picture lies. A name that is not UTF-8 is known by its bytes alone. */
export interface PicturePath {
  readonly path: string | Buffer;
  /** For messages. */
  readonly name: string;
}

/**
 * A picture file as it lies in memory: a file name is never interpreted by an image library. Throws `RvosError` NOT_FOUND
 * (with the reason), BAD_FRAME_SIZE for one that is too long.
 */
export async function readPicture({ path, name }: PicturePath): Promise<Buffer> {
  try {
    const { size } = await stat(path);
    if (size > maxImageBytes) throw new RvosError('BAD_FRAME_SIZE', `${name} is too large`, 'Give smaller images.');
    return await readFile(path);
  } catch (error) {
    if (error instanceof RvosError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const remedy = code === 'EACCES' ? 'Change its permissions, or move it away.' : 'Remove or replace it.';
    throw new RvosError('NOT_FOUND', `${name} cannot be read (${code})`, remedy, { cause: error });
  }
}

/** How many pictures a file holds, as far as its format may hold several. */
export async function pageCount(bytes: Buffer, name: string): Promise<number> {
  if (bytes.length < 12) throw damaged(name);
  if (isBitmap(bytes)) return 1;
  // An animated PNG is one picture to sharp; its control chunk stands before the first picture's data.
  const animated = bytes.subarray(0, 65536).indexOf('acTL');
  if (bytes.readUInt32BE(0) === 0x89504e47 && animated > 0) return Math.max(1, bytes.readUInt32BE(animated + 4));
  return (await metadata(open(bytes), name)).pages ?? 1;
}

/** True for the first bytes (at least 12) of a single AVIF picture, which not every ffmpeg reads. */
export function isAvifPicture(head: Buffer): boolean {
  return head.length >= 12 && head.toString('latin1', 4, 12) === 'ftypavif';
}

/** One picture as RGB. Throws `RvosError` NOT_FOUND, NOT_A_VIDEO for one that is damaged or has several pages, BAD_FRAME_SIZE. */
export async function decodePicture(
  path: string | PicturePath,
  options: { readonly signal?: AbortSignal | undefined },
): Promise<Picture> {
  const place = typeof path === 'string' ? { path, name: path } : path;
  return decodeBytes(await readPicture(place), place.name, options);
}

async function decodeBytes(
  bytes: Buffer,
  name: string,
  { signal }: { readonly signal?: AbortSignal | undefined },
): Promise<Picture> {
  // sharp's prebuilt library does not know bitmaps.
  if (isBitmap(bytes)) return decodeWithFfmpeg(bytes, name, signal);
  const pages = await pageCount(bytes, name);
  if (pages > 1) {
    throw new RvosError(
      'NOT_A_VIDEO',
      `${name} holds ${pages} pictures, where one is expected`,
      'Give it alone as a video, or save its pictures as files of their own.',
    );
  }
  const image = open(bytes);
  const { width, height, space, format } = await metadata(image, name);
  checkFrameSize(name, width, height);
  // Its inks become light by one product, as in all decoders of video; sharp would apply a press's profile.
  if (space === 'cmyk' && format === 'jpeg') return decodeWithFfmpeg(bytes, name, signal);
  return toRgb(image, name);
}

/** sharp's pixels as RGB: as stored (no colour profile), upright, without transparency, 8 bits. */
export async function toRgb(image: Sharp, name: string): Promise<Picture> {
  const { data, info } = await image
    .autoOrient()
    .toColourspace('srgb')
    .removeAlpha()
    .raw({ depth: 'uchar' })
    .toBuffer({ resolveWithObject: true })
    .catch((error: unknown) => {
      throw damaged(name, error);
    });
  return { width: info.width, height: info.height, data: withoutGrey(data, info.channels) };
}

export function open(bytes: Buffer, pages: { readonly page?: number; readonly pages?: number } = {}): Sharp {
  return sharp(bytes, { ignoreIcc: true, limitInputPixels: false, failOn: 'error', ...pages });
}

export async function metadata(image: Sharp, name: string): Promise<Metadata> {
  return image.metadata().catch((error: unknown) => {
    throw damaged(name, error);
  });
}

function damaged(name: string, cause?: unknown): RvosError {
  return new RvosError('NOT_A_VIDEO', `${name} is not a readable image`, 'Remove or replace it.', { cause });
}

function isBitmap(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, 2) === 'BM';
}

/** Grey pictures may come back as one channel. */
function withoutGrey(data: Buffer, channels: number): Uint8Array {
  if (channels === 3) return new Uint8Array(data.buffer, data.byteOffset, data.length);
  const rgb = new Uint8Array((data.length / channels) * 3);
  for (let i = 0; i < data.length / channels; i++) rgb.fill(data[i * channels]!, i * 3, i * 3 + 3);
  return rgb;
}

async function decodeWithFfmpeg(bytes: Buffer, name: string, signal: AbortSignal | undefined): Promise<Picture> {
  const input = { stream: Readable.from([bytes]) };
  const reader = await FfmpegReader.open(name, input, await ffmpegAbilities(), { signal });
  for await (const frame of reader.frames()) return frame;
  throw new RvosError('NO_FRAMES', `${name} holds no picture`, 'Remove or replace it.');
}
