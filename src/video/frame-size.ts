import { RvosError } from '../errors.js';

/** Most pixels a frame may have: 2^25, that is 8192×4096 or 8K (7680×4320) in either orientation. */
export const maxFramePixels = 1 << 25;

/** Throws BAD_FRAME_SIZE. `source` names the video in the message. */
export function checkFrameSize(source: string, width: number, height: number): void {
  if (width < 1 || height < 1 || width * height > maxFramePixels) throw badFrameSize(source, `${width}×${height}`);
}

export function badFrameSize(source: string, size?: string): RvosError {
  return new RvosError(
    'BAD_FRAME_SIZE',
    `frames of ${source} are too large${size === undefined ? '' : ` (${size})`}: at most ${maxFramePixels} pixels (8192×4096) are read`,
    'Scale the video down first, for example: ffmpeg -i in.mp4 -vf scale=1920:-2 out.mp4',
  );
}
