import { RvosError } from '../errors.js';

export const videoCodecs = ['h264', 'hevc', 'av1'] as const;
export type VideoCodec = (typeof videoCodecs)[number];

export const defaultQuality = 65;

export interface ChosenCodec {
  /** For ffmpeg. */
  readonly options: string[];
  readonly warnings: string[];
}

/**
 * The encoder of this ffmpeg for a codec. `quality` 0…100 is a share of the encoder's scale of rate factors, whose best is 0; 65 is
 * H.264's 18. Throws FFMPEG_FAILED where it has none.
 */
export function chooseCodec(
  encoders: ReadonlySet<string>,
  codec: VideoCodec = 'h264',
  quality: number = defaultQuality,
): ChosenCodec {
  const factor = (worst: number) => String(Math.round(worst * (1 - quality / 100)));
  if (codec === 'hevc' && encoders.has('libx265')) {
    // Without B-frames, as for H.264: MP4's edit list would cut the first pictures off. Apple's players want the tag.
    const quiet = ['-x265-params', 'log-level=error:bframes=0'];
    return {
      options: ['-c:v', 'libx265', '-preset', 'fast', '-crf', factor(51), ...quiet, '-tag:v', 'hvc1'],
      warnings: [],
    };
  }
  if (codec === 'av1' && encoders.has('libsvtav1')) {
    return { options: ['-c:v', 'libsvtav1', '-preset', '8', '-crf', factor(63)], warnings: [] };
  }
  if (codec === 'av1' && encoders.has('libaom-av1')) {
    return { options: ['-c:v', 'libaom-av1', '-cpu-used', '8', '-b:v', '0', '-crf', factor(63)], warnings: [] };
  }
  if (codec !== 'h264') {
    throw new RvosError(
      'FFMPEG_FAILED',
      `this ffmpeg has no encoder for ${codec}`,
      'Take h264, or install a full build of ffmpeg.',
    );
  }
  if (encoders.has('libx264')) {
    return { options: ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', factor(51), '-bf', '0'], warnings: [] };
  }
  if (encoders.has('libopenh264')) {
    const megabits = (6 * 2 ** ((quality - defaultQuality) / 15)).toFixed(2);
    return { options: ['-c:v', 'libopenh264', '-b:v', `${megabits}M`], warnings: [] };
  }
  if (encoders.has('mpeg4')) {
    return {
      options: ['-c:v', 'mpeg4', '-q:v', String(Math.max(1, Math.round(8.5 * (1 - quality / 100))))],
      warnings: ['this ffmpeg has no H.264 encoder: the masked video is MPEG-4 part 2, which browsers do not play'],
    };
  }
  throw new RvosError(
    'FFMPEG_FAILED',
    'this ffmpeg can encode neither H.264 nor MPEG-4',
    'Install a full build of ffmpeg (with libx264).',
  );
}
