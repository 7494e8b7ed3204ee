import { RvosError } from '../errors.js';
import { ffmpegAbilities } from '../video/ffmpeg.js';
import type { VideoInfo } from '../video/frame.js';
import { openVideo } from '../video/open-video.js';
import { deadlineSignal } from './deadline.js';
import type { ServerLimits } from './limits.js';

export type VideoLimits = Pick<ServerLimits, 'maxSeconds' | 'maxPixels' | 'maxFrames'>;

/** Seconds until a file that ffmpeg does not get to its first frame is given up. */
const decodeSeconds = 20;

/**
 * Decodes the first frame, so that a file which is no video is refused at once, and compares what its header says with the
 * limits. Returns its seconds, if the container tells. Throws `RvosError` NOT_A_VIDEO, NO_FRAMES, BAD_FRAME_SIZE,
 * FFMPEG_FAILED, LIMIT_EXCEEDED, ABORTED.
 */
export async function checkVideo(
  path: string,
  limits: VideoLimits,
  options: { readonly videoStream?: number | undefined; readonly signal?: AbortSignal } = {},
): Promise<number | undefined> {
  await ffmpegAbilities();
  const { signal, end } = deadlineSignal(decodeSeconds, options.signal);
  let info: VideoInfo;
  try {
    const reader = await openVideo(path, { signal, videoStream: options.videoStream });
    info = reader.info;
    await reader.close();
  } catch (error) {
    if (!(error instanceof RvosError && error.code === 'DEADLINE_EXCEEDED')) throw error;
    const message = `no frame could be decoded within ${decodeSeconds} s`;
    throw new RvosError('LIMIT_EXCEEDED', message, 'Give a smaller video.', { cause: error });
  } finally {
    end();
  }
  const { width, height, duration, frameRate } = info;
  checkLimit('pixels a frame', width * height, limits.maxPixels);
  checkLimit('seconds', duration ?? 0, limits.maxSeconds);
  checkLimit('frames', Math.floor((duration ?? 0) * (frameRate ?? 0)), limits.maxFrames);
  return duration ?? undefined;
}

/** Throws LIMIT_EXCEEDED. */
export function checkLimit(what: string, is: number, limit: number): void {
  if (is <= limit) return;
  throw new RvosError(
    'LIMIT_EXCEEDED',
    `the video has ${is} ${what}, and this server takes ${limit}`,
    'Give a smaller or shorter video.',
  );
}
