import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RvosError } from '../errors.js';
import { packageRoot } from '../package-root.js';

const clip = join(packageRoot, 'examples', 'demo.mp4');

/**
 * Runs a few frames of the shipped clip through a new model: it must give a probability and a mask for each frame.
 * Resolves with the reason where it cannot be tried, as without ffmpeg. Throws `RvosError` BAD_CHECKPOINT or what the run throws.
 */
export async function smokeRun(model: string, signal?: AbortSignal): Promise<string | undefined> {
  if (!(await stat(clip).catch(() => undefined))?.isFile()) return 'the sample clip is not installed';
  // Loaded late: the segmenter in turn may pull.
  const { Segmenter } = await import('../segmenter.js');
  try {
    await using segmenter = await Segmenter.open({ model, backend: 'onnxruntime', signal });
    await using result = await segmenter.segment(clip, ['the red heart moving right'], { end: 0.4, signal });
    const score = result.queries[0]?.score ?? Number.NaN;
    if (score >= 0 && score <= 1 && result.times.length > 0) return undefined;
    const what = `a trial run gives the score ${score} for ${result.times.length} frames`;
    throw new RvosError('BAD_CHECKPOINT', what, 'The checkpoint is not what it says: try another source.');
  } catch (error) {
    if (error instanceof RvosError && ['FFMPEG_MISSING', 'ADDON_MISSING', 'BACKEND_UNAVAILABLE'].includes(error.code)) {
      return error.message;
    }
    throw error;
  }
}
