import { z } from 'zod';
import { ask, type FfmpegAbilities, ffprobePath } from './ffmpeg.js';

const probeSchema = z.object({
  streams: z
    .array(
      z.object({
        codec_type: z.string().optional(),
        codec_name: z.string().optional(),
        avg_frame_rate: z.string().optional(),
        duration: z.string().optional(),
        start_time: z.string().optional(),
        disposition: z.object({ attached_pic: z.number().optional() }).optional(),
      }),
    )
    .default([]),
  format: z.object({ duration: z.string().optional(), start_time: z.string().optional() }).default({}),
});

export interface ProbedFile {
  /** Frames per second, average; null if the container does not say. */
  readonly frameRate: number | null;
  /** Seconds of the video stream, or else of the whole file; null if the container does not say. */
  readonly duration: number | null;
  /** Codec of the first audio stream, e.g. `aac`; null without one. */
  readonly audioCodec: string | null;
  /** Seconds by which the video starts later than the earliest stream of the file. */
  readonly videoOffset: number;
}

/** Asks ffprobe what a file's header says, without a pass over its packets. Null if ffprobe is absent or cannot tell. */
export async function probeFile(
  path: string,
  abilities: FfmpegAbilities,
  signal?: AbortSignal,
): Promise<ProbedFile | null> {
  const entries =
    'stream=codec_type,codec_name,avg_frame_rate,duration,start_time:stream_disposition=attached_pic:format=duration,start_time';
  const args = ['-v', 'quiet', ...inputGuards(abilities), '-show_entries', entries, '-of', 'json', `file:${path}`];
  const answer = await ask(ffprobePath(), args, signal).catch(() => null);
  if (answer === null || !answer.ok) return null;
  let json: unknown;
  try {
    json = JSON.parse(answer.stdout);
  } catch {
    return null;
  }
  const parsed = probeSchema.safeParse(json);
  if (!parsed.success) return null;
  const { streams, format } = parsed.data;
  const video = streams.find((stream) => stream.codec_type === 'video' && stream.disposition?.attached_pic !== 1);
  return {
    frameRate: fraction(video?.avg_frame_rate),
    duration: positive(Number(video?.duration)) ?? positive(Number(format.duration)),
    audioCodec: streams.find((stream) => stream.codec_type === 'audio')?.codec_name ?? null,
    videoOffset: positive(Number(video?.start_time) - Number(format.start_time)) ?? 0,
  };
}

/** Input options for ffmpeg and ffprobe that keep an untrusted file from reaching beyond itself. */
export function inputGuards(abilities: FfmpegAbilities): string[] {
  return ['-protocol_whitelist', 'file,pipe', '-format_whitelist', abilities.demuxers];
}

function fraction(text: string | undefined): number | null {
  const [numerator, denominator] = (text ?? '').split('/').map(Number);
  return positive(numerator! / (denominator ?? 1));
}

function positive(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) && value > 0 ? value : null;
}
