import { open } from 'node:fs/promises';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { formatByteSize } from '../byte-size.js';
import { abortError, RvosError, throwIfAborted } from '../errors.js';
import { toOutputError } from '../files/output-error.js';
import { orAbort } from '../or-abort.js';
import { type Download, temporaryVideo } from './download.js';

/**
 * A video as a caller may have it: a path, an image folder, `-` or an address as text; a `URL`; the bytes of a file, whole
 * (`Uint8Array`, `Buffer`, `ArrayBuffer`, `Blob`, `File`) or as they come (`Readable`, a web stream, any async iterable of bytes).
 * A name that is not UTF-8 is given by its bytes. Bytes are always those of a file, whatever its container; frames go to `segmentFrames`.
 */
export type VideoInput = string | URL | VideoPath | VideoBytes;
export type VideoBytes = ArrayBufferView | ArrayBuffer | Blob | AsyncIterable<Uint8Array>;

/** A file or an image folder whose name is no text: its bytes, as `readdir` gives them with `encoding: 'buffer'`. */
export interface VideoPath {
  readonly path: Uint8Array;
}

/** For messages. */
export const videoInputForms =
  'a path, an address, a URL, bytes (Buffer, typed array, ArrayBuffer, Blob, File) or a stream of bytes';

export function isVideoInput(value: unknown): value is VideoInput {
  return typeof value === 'string' || value instanceof URL || isVideoPath(value) || isVideoBytes(value);
}

export function isVideoPath(value: unknown): value is VideoPath {
  return typeof value === 'object' && value !== null && 'path' in value && value.path instanceof Uint8Array;
}

export function isVideoBytes(value: unknown): value is VideoBytes {
  if (typeof value !== 'object' || value === null) return false;
  return ArrayBuffer.isView(value) || isArrayBuffer(value) || value instanceof Blob || Symbol.asyncIterator in value;
}

/** A URL as what `openVideo` takes as text: `file:` as its path. Throws `RvosError` BAD_ARGUMENT. */
export function inputText(input: string | URL): string {
  if (typeof input === 'string') return input;
  if (input.protocol !== 'file:') return input.href;
  try {
    return fileURLToPath(input);
  } catch (cause) {
    throw new RvosError('BAD_ARGUMENT', `${input.href} is no file of this machine`, 'Give its path.', { cause });
  }
}

/** Bytes of a video that are kept in a temporary file, at most. */
export const defaultMaxSpool = 4e9;

export interface SpoolOptions {
  /** Default 4 GB. */
  readonly maxSpool?: number | undefined;
  /** For messages; default a `File`'s own name. */
  readonly name?: string | undefined;
  /** What to do where there are more bytes. */
  readonly hint?: string | undefined;
}

function nameOf(bytes: VideoBytes): string {
  return bytes instanceof File && bytes.name ? basename(bytes.name) : 'video bytes';
}

/**
 * Writes bytes to a temporary file, where decoders can seek in them. Throws `RvosError` BAD_ARGUMENT (a stream of something
 * else), NOT_A_VIDEO (no byte), LIMIT_EXCEEDED, DISK_FULL, ABORTED.
 */
export async function spoolVideo(
  bytes: VideoBytes,
  { maxSpool = defaultMaxSpool, name = nameOf(bytes), hint = 'Raise maxSpool, or give a file.' }: SpoolOptions = {},
  signal?: AbortSignal,
): Promise<Download> {
  throwIfAborted(signal);
  return temporaryVideo(async (path) => {
    const file = await open(path, 'wx');
    try {
      let written = 0;
      for await (const piece of pieces(bytes, signal)) {
        written += piece.byteLength;
        if (written > maxSpool) {
          throw new RvosError('LIMIT_EXCEEDED', `${name}: more than ${formatByteSize(maxSpool)}`, hint);
        }
        await file.writeFile(piece);
      }
      if (written === 0) throw new RvosError('NOT_A_VIDEO', `${name}: none came`, 'Give the bytes of a video file.');
      return name;
    } catch (error) {
      throw signal?.aborted ? abortError(signal) : toOutputError(error, path);
    } finally {
      await file.close();
    }
  });
}

async function* pieces(bytes: VideoBytes, signal?: AbortSignal): AsyncGenerator<Uint8Array, void, undefined> {
  if (isArrayBuffer(bytes)) return yield new Uint8Array(bytes);
  if (ArrayBuffer.isView(bytes)) return yield new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const source: AsyncIterable<unknown> = bytes instanceof Blob ? bytes.stream() : bytes;
  for await (const piece of untilAborted(source, signal)) {
    if (!ArrayBuffer.isView(piece)) {
      throw new RvosError(
        'BAD_ARGUMENT',
        `the stream of the video gives ${typeof piece === 'string' ? 'text' : 'something else'} instead of bytes`,
        'Streams give Buffers or Uint8Arrays; frames go to segmentFrames.',
      );
    }
    yield new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength);
  }
}

/** Ends at an abort even while it waits for the next value, which may never come. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal?: AbortSignal): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { value, done } = await orAbort(iterator.next(), signal);
      if (done) return;
      yield value;
    }
  } finally {
    // Not awaited: one that waits itself answers only after its next value.
    iterator.return?.()?.catch(() => undefined);
  }
}

/** Also those of other realms, such as a worker's or a test's. */
function isArrayBuffer(value: unknown): value is ArrayBuffer {
  return Object.prototype.toString.call(value) === '[object ArrayBuffer]';
}
