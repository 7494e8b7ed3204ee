import type { FrameSink, SinkContext, SinkOpener } from './frame-sink.js';

/** Pixels of a frame, and how many sentences and frames there are to come. */
export interface OutputExtent {
  readonly width: number;
  readonly height: number;
  readonly sentences: number;
  readonly frames: number;
}

/** Bytes that an output is likely to take. Rough: what decides is how much there is to see. */
export interface OutputBytes {
  /** Of the output itself. */
  readonly output: number;
  /** Of files in the temporary directory meanwhile; default 0. */
  readonly temporary?: number;
}

/** What is known of an output before its first frame. */
export interface PlannedOutput {
  /** What it is, in words, as `masked video`. */
  readonly what: string;
  readonly path: string;
  readonly isFolder: boolean;
  /** Refuses what could not be written; resolves with where the output will lie, links followed. Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE. */
  check(): Promise<string>;
  bytes(extent: OutputExtent): OutputBytes;
}

/** The opener of an output that is known beforehand. */
export function plannedOutput(
  output: PlannedOutput,
  open: (context: SinkContext) => Promise<FrameSink>,
): SinkOpener & { readonly output: PlannedOutput } {
  return Object.assign((context: SinkContext) => open(context), { output });
}
