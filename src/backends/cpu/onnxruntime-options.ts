import type { InferenceSession } from 'onnxruntime-node';

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
