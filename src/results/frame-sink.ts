import type { VideoInfo } from '../video/frame.js';
import type { SegmentationStream, VideoPart } from './segmentation-stream.js';
import type { SegmentedFrame, SegmentSummary } from './segmented-frame.js';

/** Takes the frames of a run one by one and makes an output of them: a masked video, a file of masks, … */
export interface FrameSink {
  /** Messages that are not failures; complete after `finish()`. */
  readonly warnings?: readonly string[];
  /** The frame's pixels may not be kept: their memory is used again for later frames. */
  write(frame: SegmentedFrame): Promise<void>;
  /** Completes the output; nothing of it exists under its final name before. */
  finish(summary: SegmentSummary): Promise<void>;
  /** Removes what was written; does nothing after `finish()` or a second time. */
  abort(): Promise<void>;
}

/** What a sink may know before the first frame. */
export interface SinkContext {
  readonly video: VideoInfo;
  readonly sentences: readonly string[];
  readonly part: VideoPart;
  readonly signal?: AbortSignal | undefined;
}

/** Opens a sink; refuses (OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE) before anything is computed. */
export type SinkOpener = (context: SinkContext) => Promise<FrameSink>;

/** Passes a run through all sinks at once; if anything fails, unfinished outputs disappear and the error is thrown. */
export async function drainInto(stream: SegmentationStream, openers: readonly SinkOpener[]): Promise<SegmentSummary> {
  const sinks: FrameSink[] = [];
  try {
    const video = await stream.start();
    const { sentences, part, signal } = stream;
    for (const open of openers) sinks.push(await open({ video, sentences, part, signal }));
    for await (const frame of stream) {
      // All of them have ended before one that failed makes the others remove what they write.
      const written = await Promise.allSettled(sinks.map((sink) => sink.write(frame)));
      for (const write of written) if (write.status === 'rejected') throw write.reason;
      stream.release(frame);
    }
    const summary = stream.summary();
    for (const sink of sinks) await sink.finish(summary);
    const warnings = sinks.flatMap((sink) => sink.warnings ?? []);
    return { ...summary, warnings: [...new Set([...summary.warnings, ...warnings])] };
  } catch (error) {
    await Promise.allSettled([stream.close(), ...sinks.map((sink) => sink.abort())]);
    throw error;
  }
}
