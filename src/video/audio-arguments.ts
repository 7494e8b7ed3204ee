import type { FfmpegAbilities } from './ffmpeg.js';
import { inputGuards, probeFile } from './ffprobe.js';

/** A file with sound, and the part of it that goes along: seconds from the video's first frame. */
export interface AudioSource {
  readonly path: string;
  /** Default 0. */
  readonly start?: number | undefined;
  /** Default: to the end. */
  readonly end?: number | undefined;
}

/** Codecs that MP4 holds and browsers play; everything else becomes AAC. */
const copied = new Set(['aac', 'mp3']);

/**
 * Options of ffmpeg that add the sound of `audio` to pictures whose first one was shown at `firstTime` seconds in the
 * source, so that both stay together. Without sound in the file only the pictures are mapped.
 */
export async function audioArguments(
  audio: AudioSource,
  firstTime: number,
  abilities: FfmpegAbilities,
  signal?: AbortSignal,
): Promise<string[]> {
  const probed = await probeFile(audio.path, abilities, signal);
  if (probed === null || probed.audioCodec === null) return ['-map', '0:v:0'];
  const input = [...inputGuards(abilities), '-i', `file:${audio.path}`];
  const maps = ['-map', '0:v:0', '-map', '1:a:0?'];
  const { start = 0, end = Number.POSITIVE_INFINITY } = audio;
  const whole = start <= 0 && firstTime <= 0 && end === Number.POSITIVE_INFINITY;
  if (whole && copied.has(probed.audioCodec)) {
    // ffmpeg counts an input from its earliest stream; ours counts from the first picture.
    return ['-itsoffset', (-probed.videoOffset).toFixed(6), ...input, ...maps, '-c:a', 'copy'];
  }
  const from = probed.videoOffset + Math.max(0, firstTime);
  const until = Number.isFinite(end) ? `:end=${(probed.videoOffset + end).toFixed(6)}` : '';
  const filter = [
    `atrim=start=${from.toFixed(6)}${until}`,
    `asetpts=PTS-${from.toFixed(6)}/TB`,
    // Silence where the sound begins later than the pictures or has a gap.
    'aresample=async=1:first_pts=0',
  ].join(',');
  return [...input, ...maps, '-af', filter, '-c:a', 'aac', '-b:a', '192k'];
}
