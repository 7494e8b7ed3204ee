import { type FrameHold, frameMemory } from '../scheduling/frame-memory.js';
import type { VideoRunOptions } from '../segment-options.js';
import type { RgbFrame, VideoReader } from '../video/frame.js';
import type { WindowSchedule } from '../windows.js';
import type { FrameSource } from './segmentation-stream.js';

/** A source whose frames are taken from the process's frame memory, window by window. */
export interface HeldSource extends Omit<FrameSource, 'frames'> {
  readonly hold: FrameHold;
  /** Frames count until they are given back to `hold`. */
  frames(schedule: WindowSchedule, signal: AbortSignal): AsyncIterable<RgbFrame>;
}

/** Waits for a decoder, then opens. The decoder is free again once all is decoded. */
export async function decodedSource(
  open: (signal: AbortSignal) => Promise<FrameSource>,
  { signal, isLong }: { readonly signal: AbortSignal; readonly isLong?: VideoRunOptions['isLong'] },
): Promise<HeldSource> {
  const long = (await isLong?.(signal)) ?? false;
  const hold = await frameMemory.enter({ long, signal });
  try {
    return heldSource(await open(signal), hold);
  } catch (error) {
    hold.leave();
    throw error;
  }
}

export function heldSource(source: FrameSource, hold: FrameHold): HeldSource {
  return {
    hold,
    info: source.info,
    warnings: source.warnings,
    ...(source.release && { release: (frame) => source.release!(frame) }),
    async *frames({ length, overlap }, signal) {
      const frameBytes = source.info.width * source.info.height * 3;
      let taken = 0;
      let used = 0;
      try {
        await hold.take(length * frameBytes, signal);
        taken = length;
        for await (const frame of source.frames()) {
          used++;
          yield frame;
          if (used < taken) continue;
          await hold.take((length - overlap) * frameBytes, signal);
          taken += length - overlap;
        }
      } finally {
        hold.endDecoding();
        hold.giveBack((taken - used) * frameBytes);
      }
    },
    async close() {
      try {
        await source.close();
      } finally {
        hold.leave();
      }
    },
  };
}

/** A reader that counts as a decoder while its frames are asked for; its consumer holds one frame at a time. */
export async function decodedReader(
  open: (signal: AbortSignal | undefined) => Promise<VideoReader>,
  signal: AbortSignal | undefined,
): Promise<VideoReader> {
  const hold = await frameMemory.enter({ signal });
  const reader = await open(signal).catch((error: unknown) => {
    hold.leave();
    throw error;
  });
  const close = async () => {
    try {
      await reader.close();
    } finally {
      hold.leave();
    }
  };
  return {
    info: reader.info,
    warnings: reader.warnings,
    async *frames() {
      for await (const frame of reader.frames()) {
        hold.beginReading();
        yield frame;
        hold.endReading();
      }
    },
    release: (frame) => reader.release?.(frame),
    close,
    [Symbol.asyncDispose]: close,
  };
}
