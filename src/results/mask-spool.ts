import { createReadStream } from 'node:fs';
import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { toOutputError } from '../files/output-error.js';
import { makeTemporaryFolder, type TemporaryFolder } from '../files/temporary-folder.js';
import type { Mask } from '../masks/mask.js';
import { loadCore } from '../native/load-core.js';

/** One mask in the spool: COCO's compressed run lengths and the bounding box [x, y, width, height] (0 when empty). */
export interface SpooledMask {
  readonly counts: string;
  readonly box: readonly [number, number, number, number];
}

/** Text held back before it is written, per sentence, in characters. */
const bufferedCharacters = 1 << 16;

/**
 * Masks of a run on disk, run-length encoded, one temporary file a sentence: frames arrive by time, the JSON and the
 * readers want them by sentence, and memory must not grow with the video. Removed by `close()`, at the latest with the
 * process. No file stays open: a result may be forgotten, and Node ends a process in which an open file is collected.
 */
export class MaskSpool implements AsyncDisposable {
  readonly #buffered: string[][];
  readonly #bufferedSize: number[];
  #frames = 0;
  #closed = false;

  private constructor(
    private readonly folder: TemporaryFolder,
    readonly sentences: number,
    readonly width: number,
    readonly height: number,
  ) {
    this.#buffered = Array.from({ length: sentences }, () => []);
    this.#bufferedSize = new Array(sentences).fill(0);
  }

  /** For `sentences` sentences and masks of one size. Throws DISK_FULL or OUTPUT_NOT_WRITABLE. */
  static async create(sentences: number, size: { width: number; height: number }): Promise<MaskSpool> {
    const folder = await makeTemporaryFolder('masks');
    const spool = new MaskSpool(folder, sentences, size.width, size.height);
    try {
      for (let query = 0; query < sentences; query++) await writeFile(spool.#path(query), '', { flag: 'wx' });
    } catch (error) {
      await spool.close();
      throw toOutputError(error, folder.path);
    }
    return spool;
  }

  /** Frames appended so far. */
  get frames(): number {
    return this.#frames;
  }

  /** Appends the masks of one frame, one a sentence. */
  async append(masks: readonly Mask[]): Promise<void> {
    const core = loadCore();
    for (const [query, { bits, height, width }] of masks.entries()) {
      const { box } = core.maskStatistics(bits, height, width);
      const line = `${JSON.stringify({ counts: core.rleEncode(bits, height, width), box } satisfies SpooledMask)}\n`;
      this.#buffered[query]!.push(line);
      this.#bufferedSize[query]! += line.length;
      if (this.#bufferedSize[query]! >= bufferedCharacters) await this.#flush(query);
    }
    this.#frames++;
  }

  /** The spooled masks of a sentence, frame by frame, undecoded. Call it after the last `append`. */
  async *rows(query: number): AsyncGenerator<SpooledMask, void, undefined> {
    await this.#flush(query);
    const input = createReadStream(this.#path(query), { encoding: 'utf8' });
    try {
      for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
        yield JSON.parse(line) as SpooledMask;
      }
    } finally {
      input.destroy();
    }
  }

  /** The masks of a sentence, frame by frame. */
  async *masks(query: number): AsyncGenerator<Mask, void, undefined> {
    const { width, height } = this;
    for await (const { counts } of this.rows(query)) {
      yield { width, height, bits: loadCore().rleDecode(counts, height, width) };
    }
  }

  /** The masks of all sentences, frame by frame. */
  async *frameMasks(): AsyncGenerator<readonly Mask[], void, undefined> {
    const readers = Array.from({ length: this.sentences }, (_, query) => this.masks(query));
    try {
      for (let frame = 0; frame < this.#frames; frame++) {
        const next = await Promise.all(readers.map((reader) => reader.next()));
        yield next.map(({ value }) => value as Mask);
      }
    } finally {
      await Promise.all(readers.map((reader) => reader.return()));
    }
  }

  /** Removes the files; safe to call twice. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    await this.folder.remove();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #path(query: number): string {
    return join(this.folder.path, `${query}.jsonl`);
  }

  async #flush(query: number): Promise<void> {
    const text = this.#buffered[query]!.join('');
    this.#buffered[query] = [];
    this.#bufferedSize[query] = 0;
    if (text === '') return;
    await appendFile(this.#path(query), text).catch((error: unknown) => {
      throw toOutputError(error, this.folder.path);
    });
  }
}
