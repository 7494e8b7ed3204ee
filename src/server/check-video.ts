import { RvosError } from '../errors.js';
import { ffmpegAbilities } from '../video/ffmpeg.js';
import { probeFile } from '../video/ffprobe.js';
import type { VideoInfo } from '../video/frame.js';
import { openVideo } from '../video/open-video.js';
import { deadlineSignal } from './deadline.js';
import type { ServerLimits } from './limits.js';

export type VideoLimits = Pick<ServerLimits, 'maxSeconds' | 'maxPixels' | 'maxFrames'>;

interface CheckOptions {
  readonly videoStream?: number | undefined;
  readonly signal?: AbortSignal;
}

/** Seconds until a file that ffmpeg does not get to its first frame is given up. */
const decodeSeconds = 20;

/**
 * Compares what a video's header says with the limits; where the header is not that of a video, its first frame is decoded,
 * so that it is refused at once. Returns its seconds, if the container tells. Throws `RvosError` NOT_A_VIDEO, NO_FRAMES,
 * BAD_FRAME_SIZE, FFMPEG_FAILED, LIMIT_EXCEEDED, ABORTED.
 */
export async function checkVideo(
  path: string,
  limits: VideoLimits,
  options: CheckOptions = {},
): Promise<number | undefined> {
  const { width, height, duration, frameRate } = (await headerOf(path, options)) ?? (await firstFrame(path, options));
  checkLimit('pixels a frame', width * height, limits.maxPixels);
  checkLimit('seconds', duration ?? 0, limits.maxSeconds);
  checkLimit('frames', Math.floor((duration ?? 0) * (frameRate ?? 0)), limits.maxFrames);
  return duration ?? undefined;
}

type Checked = Pick<VideoInfo, 'width' | 'height' | 'duration' | 'frameRate'>;

/** Undefined where the header leaves a doubt. A process less than decoding: that counts for many short videos. */
async function headerOf(path: string, { videoStream, signal }: CheckOptions): Promise<Checked | undefined> {
  const probed = await probeFile(path, await ffmpegAbilities(), signal);
  const pictures = probed?.streams.filter(
    ({ kind, index, isAttachedPicture }) =>
      kind === 'video' && !isAttachedPicture && (videoStream === undefined || index === videoStream),
  );
  if (!probed || !pictures || pictures.length === 0) return undefined;
  if (
    pictures.some(({ width, height, codec, isEncrypted }) => width * height === 0 || codec === 'unknown' || isEncrypted)
  )
    return undefined;
  // Whichever of them is taken.
  const largest = pictures.reduce((a, b) => (b.width * b.height > a.width * a.height ? b : a));
  return { width: largest.width, height: largest.height, duration: probed.duration, frameRate: largest.frameRate };
}

async function firstFrame(path: string, options: CheckOptions): Promise<Checked> {
  const { signal, end } = deadlineSignal(decodeSeconds, options.signal);
  try {
    const reader = await openVideo(path, { signal, videoStream: options.videoStream });
    await reader.close();
    return reader.info;
  } catch (error) {
    if (!(error instanceof RvosError && error.code === 'DEADLINE_EXCEEDED')) throw error;
    const message = `no frame could be decoded within ${decodeSeconds} s`;
    throw new RvosError('LIMIT_EXCEEDED', message, 'Give a smaller video.', { cause: error });
  } finally {
    end();
  }
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
