import { RvosError } from '../errors.js';
import type { Frames } from './backend.js';

/** Throws `RvosError` NO_FRAMES, BAD_FRAME_SIZE, BAD_ARGUMENT for a window that no backend can take. */
export function checkWindow(window: Frames, kept: readonly number[]): void {
  const first = window.frames[0];
  if (!first) throw new RvosError('NO_FRAMES', 'a window has no frames', 'Give at least one frame.');
  const other = window.frames.find((frame) => frame.width !== first.width || frame.height !== first.height);
  if (other) {
    throw new RvosError(
      'BAD_FRAME_SIZE',
      `a frame of ${other.width}x${other.height} pixels follows frames of ${first.width}x${first.height}`,
      'All frames of a video must have one size.',
    );
  }
  if (kept.length === 0 || kept.some((position) => !(position in window.frames))) {
    throw new RvosError('BAD_ARGUMENT', 'frames to keep lie outside the window', 'Positions run from 0 to T − 1.');
  }
}
