import { type FileHandle, open } from 'node:fs/promises';
import { throwIfAborted } from '../errors.js';
import { AtomicFile } from '../files/atomic-output.js';
import { toOutputError } from '../files/output-error.js';
import { ratioText } from '../video/sample-aspect.js';
import { timestamp } from '../video/timestamps.js';
import type { FrameSink, SinkContext } from './frame-sink.js';
import { MaskSpool } from './mask-spool.js';
import type { SegmentedFrame, SegmentSummary } from './segmented-frame.js';

/** Characters gathered before they are written. */
const chunkCharacters = 1 << 16;

/** Writes `--masks out.json`: sentence by sentence although frames come by time, so masks pass through a spool. */
export class MasksJsonSink implements FrameSink {
  private constructor(
    private readonly output: AtomicFile,
    private readonly spool: MaskSpool,
  ) {}

  static async open(path: string, context: SinkContext, options: { force?: boolean } = {}): Promise<MasksJsonSink> {
    const output = await AtomicFile.create(path, options);
    try {
      return new MasksJsonSink(output, await MaskSpool.create(context.sentences.length, context.video));
    } catch (error) {
      await output.abort();
      throw error;
    }
  }

  async write(frame: SegmentedFrame): Promise<void> {
    await this.spool.append(frame.masks);
  }

  async finish(summary: SegmentSummary): Promise<void> {
    try {
      await writeMasksJson(this.output, this.spool, summary);
    } finally {
      await this.abort();
    }
  }

  async abort(): Promise<void> {
    await this.spool.close();
    await this.output.abort();
  }
}

/**
 * Writes and finishes a file `{video, queries, timestamps, masks, boxes}`: `masks[query][frame]` is COCO RLE
 * `{size: [height, width], counts}`, `boxes[query][frame]` is [x, y, width, height] in pixels.
 */
export async function writeMasksJson(
  output: AtomicFile,
  spool: MaskSpool,
  summary: SegmentSummary,
  signal?: AbortSignal,
): Promise<void> {
  const { width, height } = summary.video;
  const head = {
    video: videoJson(summary),
    queries: queriesJson(summary),
    timestamps: summary.times.map(timestamp),
  };
  const size = [height, width];
  try {
    const file = await open(output.temporaryPath, 'w');
    try {
      const text = new ChunkedText(file, signal);
      await text.add(JSON.stringify(head).slice(0, -1));
      await text.add(',"masks":[');
      await writeRows(text, spool, ({ counts }) => ({ size, counts }));
      await text.add('],"boxes":[');
      await writeRows(text, spool, ({ box }) => box);
      await text.add(']}\n');
      await text.flush();
    } finally {
      await file.close();
    }
  } catch (error) {
    throw toOutputError(error, output.target);
  }
  await output.finish();
}

/** The `video` of every JSON that rvos writes; sizes are in stored pixels, turned upright. */
export function videoJson({ video }: Pick<SegmentSummary, 'video'>) {
  const { width, height, frameRate, frames, sampleAspect } = video;
  return { width, height, frame_rate: frameRate, frames, sample_aspect_ratio: ratioText(sampleAspect) };
}

/** The `queries` of every JSON that rvos writes. */
export function queriesJson(summary: Pick<SegmentSummary, 'queries'>) {
  return summary.queries.map(({ text, score, windows }) => ({
    text,
    score,
    windows: windows.map(({ start, end, objectQuery, score }) => ({ start, end, object_query: objectQuery, score })),
  }));
}

async function writeRows(
  text: ChunkedText,
  spool: MaskSpool,
  value: (row: { counts: string; box: readonly number[] }) => unknown,
): Promise<void> {
  for (let query = 0; query < spool.sentences; query++) {
    await text.add(query === 0 ? '[' : ',[');
    let first = true;
    for await (const row of spool.rows(query)) {
      await text.add(`${first ? '' : ','}${JSON.stringify(value(row))}`);
      first = false;
    }
    await text.add(']');
  }
}

class ChunkedText {
  #parts: string[] = [];
  #size = 0;

  constructor(
    private readonly file: FileHandle,
    private readonly signal: AbortSignal | undefined,
  ) {}

  async add(text: string): Promise<void> {
    this.#parts.push(text);
    this.#size += text.length;
    if (this.#size >= chunkCharacters) await this.flush();
  }

  async flush(): Promise<void> {
    throwIfAborted(this.signal);
    const text = this.#parts.join('');
    this.#parts = [];
    this.#size = 0;
    await this.file.appendFile(text);
  }
}
