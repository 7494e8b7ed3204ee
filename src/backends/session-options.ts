import { availableParallelism } from 'node:os';
import type { InferenceSession } from 'onnxruntime-node';

/** Threads of one session when the user names no number: all cores this process may use. */
export function defaultThreads(): number {
  return availableParallelism();
}

/**
 * ONNX Runtime reports its use to its maker, and writes logs and a device number to disk for it, unless this is set
 * before its first session. Nothing about anybody's videos or models leaves the machine here.
 */
function disableTelemetry(): void {
  process.env.ORT_DISABLE_TELEMETRY ??= '1';
  process.env.ORT_TELEMETRY_DISABLED ??= '1'; // its name from the next version on
}

/** How ONNX Runtime runs a stage. */
export function sessionOptions(threads: number): InferenceSession.SessionOptions {
  disableTelemetry();
  return {
    executionProviders: ['cpu'],
    graphOptimizationLevel: 'all',
    executionMode: 'sequential',
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    // A memory plan made from the first run is allocated beside the arena of that run: it doubles the peak.
    enableMemPattern: false,
    logSeverityLevel: 3,
  };
}

/** Sentences that pass the transformer together. Its memory grows with them while its time per sentence does not shrink. */
export const sentencesPerRun = 1;

/** Sessions kept at once: backbone and transformer of a full window, and of the shorter one at the end of a video. */
export const keptSessions = 4;

/** A text encoder whose weights are smaller than this stays loaded; a larger one makes room before a window runs. */
export const keptTextEncoderBytes = 64 * 2 ** 20;

/** ONNX Runtime leaks some memory with each session: after this many the process is replaced. */
export const sessionsPerProcess = 64;
