import { fstatSync, type Stats } from 'node:fs';
import { type FileHandle, open, stat } from 'node:fs/promises';
import { isatty } from 'node:tty';
import { RvosError, throwIfAborted } from '../errors.js';
import { type Download, downloadVideo } from './download.js';
import { ffmpegAbilities } from './ffmpeg.js';
import { FfmpegReader } from './ffmpeg-reader.js';
import type { OpenVideoOptions, VideoReader } from './frame.js';
import { OpencvReader } from './opencv-reader.js';
import { AnimatedWebpReader, isAnimatedWebp } from './pictures/animated-webp-reader.js';
import { ImageFolderReader } from './pictures/image-folder-reader.js';
import { isAvifPicture, pageCount, readPicture } from './pictures/picture.js';
import { listPictures } from './pictures/picture-folder.js';
import { openBytes, type PipedVideo, pipeStream } from './piped-video.js';
import { checkTrim } from './trim.js';
import { inputText, isVideoBytes, isVideoPath, spoolVideo, type VideoInput } from './video-input.js';
import { withCleanup } from './with-cleanup.js';

/**
 * Opens a video: a file of any container, a folder of images (in natural order of names), `-` for standard input, or an http(s)
 * URL, which is downloaded first; also a `URL`, bytes and streams of bytes (`VideoInput`). Throws BAD_ARGUMENT, NOT_FOUND,
 * NOT_A_VIDEO, NO_FRAMES, BAD_FRAME_SIZE, FFMPEG_MISSING, FFMPEG_FAILED, OPENCV_MISSING, ADDRESS_REFUSED, DOWNLOAD_FAILED,
 * LIMIT_EXCEEDED, ABORTED.
 */
export async function openVideo(video: VideoInput, options: OpenVideoOptions = {}): Promise<VideoReader> {
  checkTrim(options);
  throwIfAborted(options.signal);
  if (isVideoBytes(video)) return openTemporary(() => spoolVideo(video, options, options.signal), options);
  if (isVideoPath(video)) return openPath(video.path, options);
  const input = inputText(video);
  if (input === '-') {
    if (options.standardInput) return openDescriptor(0, 'standard input', options);
    throw new RvosError(
      'BAD_ARGUMENT',
      '- would be standard input, which is not allowed here',
      'Pass standardInput: true if it is meant, or ./- for a file of that name.',
    );
  }
  if (/^https?:\/\//i.test(input)) {
    return openTemporary(() => downloadVideo(input, options, options.signal), options);
  }
  const descriptor = /^\/(?:dev|proc\/self)\/(?:fd\/(\d+)|stdin)$/.exec(input);
  if (descriptor !== null && isOpen(Number(descriptor[1] ?? 0))) {
    return openDescriptor(Number(descriptor[1] ?? 0), input, options);
  }
  const found = await stat(input === '' || input.includes('\0') ? '' : input).catch(
    (error: NodeJS.ErrnoException) => error,
  );
  if (found instanceof Error) throw absent(input, found);
  return openFound(input, input, found, options);
}

/** What lies under a name that is known by its bytes. */
async function openPath(bytes: Uint8Array, options: OpenVideoOptions): Promise<VideoReader> {
  const path = Buffer.from(bytes);
  const name = path.toString('utf8');
  // As text it is known to every decoder by itself.
  if (Buffer.from(name).equals(path)) return openVideo(path.toString('utf8').replace(/^-$/, './-'), options);
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) throw absent(name, found);
  if (found.isDirectory()) return openFolder(path, name, options);
  if (!found.isFile()) throw notFound(`${name} is no file`);
  const handle = await openFor(path, name);
  return withCleanup(openFile(openedAs(handle.fd, name), name, options), () => handle.close());
}

async function openFound(path: string, name: string, found: Stats, options: OpenVideoOptions): Promise<VideoReader> {
  if (found.isDirectory()) return openFolder(path, name, options);
  if (!found.isFile()) return openStream(await openBytes(path), name, options);
  if (found.size === 0) throw new RvosError('NOT_A_VIDEO', `${name} is empty`, 'Give a file that holds a video.');
  return openFile(path, name, options);
}

/** A video that has to be brought into a file first: removed with the reader, or kept for the next one. */
async function openTemporary(make: () => Promise<Download>, options: OpenVideoOptions): Promise<VideoReader> {
  const { keptDownload } = options;
  const { path, name, remove } = keptDownload ? await keptDownload.get(make) : await make();
  const opening = openFile(path, name, options);
  return keptDownload ? opening : withCleanup(opening, remove);
}

/** A folder of pictures; one with a single moving picture holds a video. */
async function openFolder(folder: string | Buffer, name: string, options: OpenVideoOptions): Promise<VideoReader> {
  const list = await listPictures(folder, name);
  const [only, another] = list.pictures;
  if (only !== undefined && another === undefined && (await pageCount(await readPicture(only), only.name)) > 1) {
    const { path, name: shown } = only;
    return typeof path === 'string' ? openFile(path, shown, options) : openPath(path, options);
  }
  return ImageFolderReader.open(name, list, options);
}

async function openFile(path: string, name: string, options: OpenVideoOptions): Promise<VideoReader> {
  const head = await firstBytes(path, name);
  if (isAnimatedWebp(head)) return AnimatedWebpReader.open({ path, name }, options);
  if (isAvifPicture(head)) {
    return ImageFolderReader.open(name, { pictures: [{ path, name }], warnings: [] }, options);
  }
  if (options.decoder === 'opencv') return OpencvReader.open(path, name, options);
  return FfmpegReader.open(name, { path }, await ffmpegAbilities(), options);
}

/** Standard input or another descriptor of this process: a file that stands behind it is read as one. */
async function openDescriptor(descriptor: number, name: string, options: OpenVideoOptions): Promise<VideoReader> {
  if (isatty(descriptor)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `${name} is a terminal, not a video`,
      'Pipe a video into it: … | rvos segment -',
    );
  }
  if (!isOpen(descriptor)) throw notFound(`${name} is closed`);
  const found = fstatSync(descriptor);
  if (found.isFile()) return openFound(openedAs(descriptor, name), name, found, options);
  return openStream(pipeStream(descriptor), name, options);
}

/** What comes once and in order: decoded as it comes, or kept in a file first where its container asks for that. */
async function openStream(piped: PipedVideo, name: string, options: OpenVideoOptions): Promise<VideoReader> {
  const close = () => piped.close();
  try {
    const needsFile = await piped.needsFile(options.signal);
    if (needsFile !== null) {
      const hint = `${needsFile} Raise --max-spool (SDK: maxSpool), or save it to a file first.`;
      const spool = () => spoolVideo(piped.bytes(), { ...options, name, hint }, options.signal);
      return await withCleanup(openTemporary(spool, { ...options, keptDownload: undefined }), close);
    }
  } catch (error) {
    await close();
    throw error;
  }
  if (options.decoder === 'opencv') {
    await close();
    const hint = 'Save the video to a file, or use --decoder ffmpeg.';
    throw new RvosError('BAD_ARGUMENT', `OpenCV cannot read ${name}`, hint);
  }
  return withCleanup(FfmpegReader.open(name, { piped }, await ffmpegAbilities(), options), close);
}

/** A name that stands for a file that this process has open, for itself and for its children. */
function openedAs(descriptor: number, name: string): string {
  if (process.platform === 'linux') return `/proc/${process.pid}/fd/${descriptor}`;
  throw new RvosError('BAD_ARGUMENT', `${name} cannot be opened by its descriptor here`, 'Give the name of the file.');
}

function isOpen(descriptor: number): boolean {
  try {
    fstatSync(descriptor);
    return true;
  } catch {
    return false;
  }
}

async function firstBytes(path: string, name: string): Promise<Buffer> {
  const handle = await openFor(path, name);
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(32), 0, 32, 0);
    return buffer.subarray(0, bytesRead);
  } finally {
    await handle.close();
  }
}

async function openFor(path: string | Buffer, name: string): Promise<FileHandle> {
  return open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw notFound(`${name}: cannot be read (${error.code})`, error);
  });
}

function absent(input: string, error: NodeJS.ErrnoException): RvosError {
  if (input === '' || input.includes('\0')) return notFound('the name of the video is empty or not a name');
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(input)?.[1];
  if (scheme !== undefined) {
    return new RvosError(
      'BAD_ARGUMENT',
      `addresses of the kind ${scheme}:// are not read`,
      'Give a file, a folder of images, - for standard input, or an http(s) URL.',
    );
  }
  if (input.includes('\ufffd') && error.code === 'ENOENT') {
    return new RvosError(
      'NOT_FOUND',
      `${input}: the name is not UTF-8 and arrives incomplete`,
      'Give the file as standard input: - < file (SDK: { path: Buffer }).',
      { cause: error },
    );
  }
  const why = error.code === 'ENOENT' || error.code === 'ENOTDIR' ? 'no such file' : `cannot be read (${error.code})`;
  return notFound(`${input}: ${why}`, error);
}

function notFound(message: string, cause?: unknown): RvosError {
  return new RvosError('NOT_FOUND', message, 'Check the name of the video.', { cause });
}
