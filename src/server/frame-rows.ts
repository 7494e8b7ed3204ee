import type { EventEmitter } from 'node:events';
import { once } from 'node:events';
import { type FileHandle, open } from 'node:fs/promises';
import { toOutputError } from '../files/output-error.js';
import { loadCore } from '../native/load-core.js';
import type { FrameSink } from '../results/frame-sink.js';
import type { SegmentedFrame } from '../results/segmented-frame.js';

/** Bytes read from the file at once. */
const pieceBytes = 1 << 16;

/** Writes one JSON line a frame as soon as its masks are final: `{frame, time, masks: [COCO RLE], boxes: [[x,y,w,h]]}`. */
export class FrameRows implements FrameSink {
  private constructor(
    private readonly path: string,
    private readonly file: FileHandle,
    private readonly onRow: () => void,
  ) {}

  static async open(path: string, onRow: () => void): Promise<FrameRows> {
    const file = await open(path, 'wx').catch((error: unknown) => {
      throw toOutputError(error, path);
    });
    return new FrameRows(path, file, onRow);
  }

  async write({ index, time, masks }: SegmentedFrame): Promise<void> {
    const core = loadCore();
    const row = {
      frame: index,
      time,
      masks: masks.map(({ bits, height, width }) => ({
        size: [height, width],
        counts: core.rleEncode(bits, height, width),
      })),
      boxes: masks.map(({ bits, height, width }) => core.maskStatistics(bits, height, width).box),
    };
    await this.file.appendFile(`${JSON.stringify(row)}\n`).catch((error: unknown) => {
      throw toOutputError(error, this.path);
    });
    this.onRow();
  }

  async finish(): Promise<void> {
    await this.file.close();
  }

  async abort(): Promise<void> {
    await this.file.close();
  }
}

/**
 * The text of a file that grows: what is there, and what is added until `ended()` is true. `changes` emits `change` whenever
 * there is more or it has ended. The reader decides how fast; nothing is held in memory. The file is closed at the end.
 */
export async function* tailFile(
  file: FileHandle,
  changes: EventEmitter | undefined,
  ended: () => boolean,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    const piece = Buffer.alloc(pieceBytes);
    for (;;) {
      const over = ended();
      const { bytesRead } = await file.read(piece, 0, pieceBytes, null);
      if (bytesRead > 0) {
        yield Buffer.from(piece.subarray(0, bytesRead));
        continue;
      }
      if (over || !changes) return;
      if (!ended()) await once(changes, 'change', { signal }).catch(() => undefined);
      if (signal.aborted) return;
    }
  } finally {
    await file.close();
  }
}
