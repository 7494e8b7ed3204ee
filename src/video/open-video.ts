import { type FileHandle, open, stat } from 'node:fs/promises';
import { isatty } from 'node:tty';
import { RvosError, throwIfAborted } from '../errors.js';
import { type Download, downloadVideo } from './download.js';
import { ffmpegAbilities } from './ffmpeg.js';
import { FfmpegReader } from './ffmpeg-reader.js';
import type { OpenVideoOptions, VideoReader } from './frame.js';
import { ImageFolderReader } from './image-folder-reader.js';
import { OpencvReader } from './opencv-reader.js';
import { checkTrim } from './trim.js';
import { inputText, isVideoBytes, spoolVideo, type VideoInput } from './video-input.js';
import { withCleanup } from './with-cleanup.js';

/**
 * Opens a video: a file of any container, a folder of images (png, jpg, jpeg, webp, bmp in natural order), `-` for
 * standard input, or an http(s) URL, which is downloaded first; also a `URL`, bytes and streams of bytes (`VideoInput`).
 * Throws BAD_ARGUMENT, NOT_FOUND, NOT_A_VIDEO, NO_FRAMES, BAD_FRAME_SIZE, FFMPEG_MISSING, FFMPEG_FAILED, OPENCV_MISSING,
 * ADDRESS_REFUSED, DOWNLOAD_FAILED, LIMIT_EXCEEDED, ABORTED.
 */
export async function openVideo(video: VideoInput, options: OpenVideoOptions = {}): Promise<VideoReader> {
  checkTrim(options);
  throwIfAborted(options.signal);
  if (isVideoBytes(video)) return openTemporary(() => spoolVideo(video, options, options.signal), options);
  const input = inputText(video);
  if (input === '-') return openStandardInput(options);
  if (/^https?:\/\//i.test(input)) {
    return openTemporary(() => downloadVideo(input, options, options.signal), options);
  }
  const scheme = /^([a-z][a-z0-9+.-]+):\/\//i.exec(input)?.[1];
  if (input === '' || input.includes('\0')) throw notFound('the name of the video is empty or not a name');
  const found = await stat(input).catch((error: NodeJS.ErrnoException) => error);
  if (found instanceof Error) {
    if (scheme !== undefined) {
      throw new RvosError(
        'BAD_ARGUMENT',
        `addresses of the kind ${scheme}:// are not read`,
        'Give a file, a folder of images, - for standard input, or an http(s) URL.',
      );
    }
    const why = found.code === 'ENOENT' || found.code === 'ENOTDIR' ? 'no such file' : `cannot be read (${found.code})`;
    throw notFound(`${input}: ${why}`, found);
  }
  if (found.isDirectory()) return ImageFolderReader.open(input, options);
  if (found.isFile()) {
    if (found.size === 0) throw new RvosError('NOT_A_VIDEO', `${input} is empty`, 'Give a file that holds a video.');
    await (await openFor(input)).close();
    return openFile(input, input, options);
  }
  return openPipe(input, options);
}

/** A video that has to be brought into a file first: removed with the reader, or kept for the next one. */
async function openTemporary(make: () => Promise<Download>, options: OpenVideoOptions): Promise<VideoReader> {
  const { keptDownload } = options;
  const { path, name, remove } = keptDownload ? await keptDownload.get(make) : await make();
  const opening = openFile(path, name, options);
  return keptDownload ? opening : withCleanup(opening, remove);
}

async function openFile(path: string, name: string, options: OpenVideoOptions): Promise<VideoReader> {
  if (options.decoder === 'opencv') return OpencvReader.open(path, name, options);
  return FfmpegReader.open(name, { path }, await ffmpegAbilities(), options);
}

function openStandardInput(options: OpenVideoOptions): Promise<VideoReader> {
  if (isatty(0)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      'standard input is a terminal, not a video',
      'Pipe a video into it: … | rvos segment -',
    );
  }
  return openDescriptor(0, 'standard input', options);
}

/** A named pipe or `/dev/fd/…`: opened here, because a child process does not see our descriptors under their names. */
async function openPipe(path: string, options: OpenVideoOptions): Promise<VideoReader> {
  const handle = await openFor(path);
  return withCleanup(openDescriptor(handle.fd, path, options), () => handle.close());
}

async function openDescriptor(descriptor: number, name: string, options: OpenVideoOptions): Promise<VideoReader> {
  if (options.decoder === 'opencv') {
    throw new RvosError(
      'BAD_ARGUMENT',
      `OpenCV cannot read ${name}`,
      'Save the video to a file, or use --decoder ffmpeg.',
    );
  }
  return FfmpegReader.open(name, { descriptor }, await ffmpegAbilities(), options);
}

async function openFor(path: string): Promise<FileHandle> {
  return open(path, 'r').catch((error: NodeJS.ErrnoException) => {
    throw notFound(`${path}: cannot be read (${error.code})`, error);
  });
}

function notFound(message: string, cause?: unknown): RvosError {
  return new RvosError('NOT_FOUND', message, 'Check the name of the video.', { cause });
}
