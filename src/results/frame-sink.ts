import { RvosError, throwIfAborted } from '../errors.js';
import type { VideoInfo } from '../video/frame.js';
import { checkFreeSpace } from './check-free-space.js';
import { checkOutputs } from './check-outputs.js';
import type { PlannedOutput } from './planned-output.js';
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
export interface SinkOpener {
  (context: SinkContext): Promise<FrameSink>;
  /** An output with a name is checked beforehand, and failing late it does not take the others with it. */
  readonly output?: PlannedOutput;
}

export interface DrainOptions {
  /** Told at once what else stands in the summary's warnings, where it is known before the work: a disk that may be too small. */
  readonly onWarning?: (warning: string) => void;
}

/** Some outputs failed while others were completed; `code` is that of the first failure. */
export class OutputError extends RvosError {
  constructor(
    readonly failures: readonly { readonly path: string; readonly error: RvosError }[],
    /** Paths of those that are complete. */
    readonly completed: readonly string[],
    readonly summary: SegmentSummary,
  ) {
    const { error } = failures[0]!;
    const messages = [...new Set(failures.map((failure) => failure.error.message))];
    super(error.code, messages.join('; '), `${error.hint} Complete: ${completed.join(', ')}.`, { cause: error });
  }
}

/**
 * Passes a run through all sinks at once. Outputs are checked before the work. One that fails later disappears, the others are
 * completed, and an `OutputError` says which is which; if the run itself fails, or nothing is left to write, all unfinished
 * outputs disappear and the error is thrown.
 */
export async function drainInto(
  stream: SegmentationStream,
  openers: readonly SinkOpener[],
  { onWarning }: DrainOptions = {},
): Promise<SegmentSummary> {
  const branches: Branch[] = [];
  let summary: SegmentSummary;
  try {
    const outputs = openers.flatMap(({ output }) => output ?? []);
    await checkOutputs(outputs, stream.input);
    const video = await stream.start();
    const { sentences, part, signal, expectedFrames } = stream;
    for (const open of openers) {
      branches.push(new Branch(await open({ video, sentences, part, signal }), open.output));
    }
    const early = await checkFreeSpace(outputs, { ...video, sentences: sentences.length, frames: expectedFrames ?? 0 });
    for (const warning of early) onWarning?.(warning);
    for await (const frame of stream) {
      await each(branches, (branch) => branch.sink.write(frame), signal);
      stream.release(frame);
    }
    summary = stream.summary();
    for (const branch of branches) await each([branch], ({ sink }) => sink.finish(summary), signal, branches);
    const warnings = branches.flatMap(({ sink }) => sink.warnings ?? []);
    summary = { ...summary, warnings: [...new Set([...summary.warnings, ...early, ...warnings])] };
  } catch (error) {
    await Promise.allSettled([stream.close(), ...branches.map(({ sink }) => sink.abort())]);
    throw error;
  }
  return outcome(branches, summary);
}

class Branch {
  failure: RvosError | undefined;

  constructor(
    readonly sink: FrameSink,
    readonly output: PlannedOutput | undefined,
  ) {}
}

/**
 * Does a step of all sinks that have not failed, and waits until all of them have ended. Throws where the failure is not of one
 * output alone, or none of `all` is left.
 */
async function each(
  branches: readonly Branch[],
  step: (branch: Branch) => Promise<void>,
  signal: AbortSignal | undefined,
  all: readonly Branch[] = branches,
): Promise<void> {
  const going = branches.filter(({ failure }) => !failure);
  const done = await Promise.allSettled(going.map(step));
  if (done.every(({ status }) => status === 'fulfilled')) return;
  throwIfAborted(signal);
  for (const [i, result] of done.entries()) {
    if (result.status === 'fulfilled') continue;
    const branch = going[i]!;
    if (!branch.output || !(result.reason instanceof RvosError)) throw result.reason;
    branch.failure = result.reason;
    await branch.sink.abort();
    if (all.every(({ failure }) => failure)) throw all[0]!.failure!;
  }
}

function outcome(branches: readonly Branch[], summary: SegmentSummary): SegmentSummary {
  const failures = branches.flatMap(({ failure, output }) => (failure ? [{ path: output!.path, error: failure }] : []));
  if (failures.length === 0) return summary;
  const completed = branches.flatMap(({ failure, output }) => (failure || !output ? [] : [output.path]));
  throw new OutputError(failures, completed, summary);
}
