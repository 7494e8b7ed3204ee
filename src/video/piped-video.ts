import { constants, createReadStream, fstatSync, open as openFile } from 'node:fs';
import { stat } from 'node:fs/promises';
import { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { RvosError } from '../errors.js';
import { orAbort } from '../or-abort.js';
import { isAnimatedWebp } from './pictures/animated-webp-reader.js';

/** As much of the beginning as is looked at: the boxes of an MP4 in front of its pictures, but not its index. */
const headBytes = 4096;

/** Most bytes of the beginning that are kept for a second look. */
const peekedBytes = 32 << 20;

/** A pipe, socket or device: bytes that come once and in order. */
export class PipedVideo {
  readonly #source: Readable;
  readonly #iterator: AsyncIterator<Buffer, undefined>;
  readonly #release: () => void;
  /** What was read and not handed on for good. */
  readonly #kept: Buffer[] = [];
  #pulling: Promise<boolean> | undefined;

  /** `release` is called once the bytes are wanted no longer. */
  constructor(source: Readable, release: () => void) {
    this.#source = source;
    this.#iterator = source.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer, undefined>;
    this.#release = release;
  }

  /** Why its container cannot be decoded as it comes; null if it can. Waits for the first bytes. Throws ABORTED. */
  async needsFile(signal?: AbortSignal): Promise<string | null> {
    const length = () => this.#kept.reduce((sum, piece) => sum + piece.length, 0);
    while (length() < headBytes && (await orAbort(this.#pull(), signal)));
    const head = Buffer.concat(this.#kept);
    if (isAnimatedWebp(head)) return 'An animated WebP is read as a whole.';
    return indexFollows(head) ? 'An MP4 whose index stands at its end is read as a whole.' : null;
  }

  /** The beginning, as much as its reader takes, for a look before it is decoded. */
  peeked(): Readable {
    return Readable.from(this.#peeked(), { objectMode: false });
  }

  async *#peeked(): AsyncGenerator<Buffer, void, undefined> {
    let bytes = 0;
    for (let i = 0; bytes < peekedBytes && (i < this.#kept.length || (await this.#pull())); i++) {
      const piece = this.#kept[i];
      // The pieces have been handed on since: nobody looks any more.
      if (piece === undefined) return;
      bytes += piece.length;
      yield piece;
    }
  }

  /** All bytes from the first on. May be called once; nothing is peeked after it. */
  async *bytes(): AsyncGenerator<Buffer, void, undefined> {
    while (this.#kept.length > 0 || (await this.#pull())) yield this.#kept.shift()!;
  }

  /** Reads on; false at the end. Whoever waits for the same piece finds it among those that are kept. */
  #pull(): Promise<boolean> {
    this.#pulling ??= this.#iterator.next().then((next) => {
      this.#pulling = undefined;
      if (!next.done) this.#kept.push(next.value);
      return !next.done;
    });
    return this.#pulling;
  }

  stream(): Readable {
    return Readable.from(this.bytes(), { objectMode: false });
  }

  async close(): Promise<void> {
    this.#source.pause();
    this.#release();
  }
}

/** Standard input, or another descriptor of this process, which stays its owner's. */
export function pipeStream(descriptor: number): PipedVideo {
  if (descriptor === 0) {
    const { stdin } = process;
    // A pipe that is open and that nobody reads must not keep this process.
    return new PipedVideo(stdin, () => stdin.unref?.());
  }
  const stream = streamOf(descriptor, false);
  return new PipedVideo(stream, () => stream.destroy());
}

/** A named pipe or a device. Throws NOT_FOUND. */
export async function openBytes(path: string): Promise<PipedVideo> {
  const opened = async () => {
    // To open a named pipe waits for somebody who writes into it, in a thread that nothing can end, not even the end of the process.
    const flags = (await stat(path)).isFIFO() ? constants.O_RDONLY | constants.O_NONBLOCK : constants.O_RDONLY;
    return promisify(openFile)(path, flags);
  };
  const descriptor = await opened().catch((cause: NodeJS.ErrnoException) => {
    throw new RvosError('NOT_FOUND', `${path}: cannot be read (${cause.code})`, 'Check the name of the video.', {
      cause,
    });
  });
  const stream = streamOf(descriptor, true);
  return new PipedVideo(stream, () => stream.destroy());
}

/** Pipes and sockets wake this process when bytes come; a read of a thread could not be ended. */
function streamOf(descriptor: number, autoClose: boolean): Readable {
  const found = fstatSync(descriptor);
  if (found.isFIFO() || found.isSocket()) return new Socket({ fd: descriptor, readable: true, writable: false });
  return createReadStream('', { fd: descriptor, autoClose });
}

/** True for the beginning of an MP4 or QuickTime file whose pictures come before the index that describes them. */
export function indexFollows(head: Buffer): boolean {
  const before = ['ftyp', 'free', 'skip', 'wide', 'pnot', 'uuid', 'PICT'];
  let at = 0;
  while (at + 8 <= head.length) {
    const type = head.toString('latin1', at + 4, at + 8);
    const size = head.readUInt32BE(at);
    if (type === 'mdat') return true;
    if (!before.includes(type)) return false;
    const length = size === 1 && at + 16 <= head.length ? Number(head.readBigUInt64BE(at + 8)) : size;
    if (length < 8) return false;
    at += length;
  }
  // The first boxes are longer than what is looked at: only a file tells what comes after them.
  return at > 0;
}
