import { stat } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { ask, type FfmpegAbilities, ffprobePath } from './ffmpeg.js';
import { parseRatio, type Ratio } from './sample-aspect.js';

const flag = z.number().optional();
const probeSchema = z.object({
  streams: z
    .array(
      z.object({
        index: z.number(),
        codec_type: z.string().optional(),
        codec_name: z.string().optional(),
        codec_tag_string: z.string().optional(),
        width: z.number().optional(),
        height: z.number().optional(),
        avg_frame_rate: z.string().optional(),
        duration: z.string().optional(),
        start_time: z.string().optional(),
        channels: z.number().optional(),
        channel_layout: z.string().optional(),
        field_order: z.string().optional(),
        sample_aspect_ratio: z.string().optional(),
        color_transfer: z.string().optional(),
        color_primaries: z.string().optional(),
        color_space: z.string().optional(),
        disposition: z.object({ default: flag, attached_pic: flag }).optional(),
        tags: z.record(z.string(), z.string()).optional(),
      }),
    )
    .default([]),
  packets: z
    .array(
      z.object({
        stream_index: z.number(),
        side_data_list: z.array(z.object({ side_data_type: z.string().optional() })).optional(),
      }),
    )
    .default([]),
  programs: z.array(z.object({ streams: z.array(z.object({ index: z.number() })).default([]) })).default([]),
  format: z
    .object({ format_name: z.string().optional(), duration: z.string().optional(), start_time: z.string().optional() })
    .default({}),
});

/** A stream of a file as its header describes it. */
export interface ProbedStream {
  /** ffprobe's number of the stream. */
  readonly index: number;
  readonly kind: 'video' | 'audio' | 'other';
  /** Codec, e.g. `aac`; `unknown` if this ffmpeg does not know it. */
  readonly codec: string;
  /** Pixels of a frame as stored; 0 if the header does not say. */
  readonly width: number;
  readonly height: number;
  /** A picture that belongs to the file rather than to its time, such as a cover. */
  readonly isAttachedPicture: boolean;
  /** The container's own mark for the stream that players take. */
  readonly isDefault: boolean;
  readonly isEncrypted: boolean;
  /** Frames per second, average; null if the container does not say. */
  readonly frameRate: number | null;
  /** The container's time, in seconds, at which the stream begins. */
  readonly start: number;
  /** The container's time, in seconds, from which ffmpeg counts when it reads this stream alone. */
  readonly origin: number;
  /** That time is this stream's own beginning, not that of the file's earliest one. */
  readonly hasOwnOrigin: boolean;
  /** Seconds from `origin` at which the stream's last picture or sound ends; null if the container does not say. */
  readonly end: number | null;
  readonly channels: number;
  /** Name of the channel layout, e.g. `5.1(side)`; empty if unknown. */
  readonly channelLayout: string;
  readonly isInterlaced: boolean;
  /** Of stored pixels: a rotation is not applied. */
  readonly sampleAspect: Ratio;
  /** As ffmpeg names them, e.g. `smpte2084`, `bt2020`; empty if unknown. */
  readonly transfer: string;
  readonly primaries: string;
  readonly matrix: string;
}

export interface ProbedFile {
  readonly streams: readonly ProbedStream[];
  /** Seconds from the file's earliest time to its last; null if the container does not say. */
  readonly duration: number | null;
  /** Indices of the streams of each program; empty for containers without programs. */
  readonly programs: readonly (readonly number[])[];
  /** True where the container states the duration of each frame, so that a long last one is meant. */
  readonly hasFrameDurations: boolean;
  /** False for containers that store durations instead of times. */
  readonly timesMayGoBack: boolean;
}

/**
 * Formats of broadcasting and streaming, whose clock may start anywhere: of these ffmpeg counts from the earliest stream that it
 * reads, of all others from the earliest in the file.
 */
const discontinuous = ['mpegts', 'mpegtsraw', 'mpeg', 'ogg', 'hls', 'dash', 'ty'];

const entries = [
  'stream=index,codec_type,codec_name,codec_tag_string,width,height,avg_frame_rate,duration,start_time,channels,channel_layout',
  'field_order,sample_aspect_ratio,color_transfer,color_primaries,color_space:stream_disposition=default,attached_pic:stream_tags=DURATION',
  'format=duration,start_time,format_name:program=program_id:program_stream=index',
  'packet=stream_index:packet_side_data=side_data_type',
];

/** Headers of the files that were asked for last, by path and what tells one version of a file from another. */
const remembered = new Map<string, ProbedFile>();
const rememberedFiles = 64;

/**
 * Asks ffprobe what a header says, without a pass over the packets: that of a file, or of bytes as they come. A file that has
 * not changed since is not asked again. Null if ffprobe is absent or cannot tell.
 */
export async function probeFile(
  input: string | Readable,
  abilities: FfmpegAbilities,
  signal?: AbortSignal,
): Promise<ProbedFile | null> {
  const version = typeof input === 'string' ? await fileVersion(input) : undefined;
  const known = version === undefined ? undefined : remembered.get(version);
  if (known) return known;
  const probed = await askFfprobe(input, abilities, signal);
  if (probed && version !== undefined) {
    if (remembered.size >= rememberedFiles) remembered.delete(remembered.keys().next().value!);
    remembered.set(version, probed);
  }
  return probed;
}

async function fileVersion(path: string): Promise<string | undefined> {
  const found = await stat(path, { bigint: true }).catch(() => undefined);
  if (!found?.isFile()) return undefined;
  const { dev, ino, size, mtimeNs, ctimeNs } = found;
  return [ffprobePath(), path, dev, ino, size, mtimeNs, ctimeNs].join(' ');
}

async function askFfprobe(
  input: string | Readable,
  abilities: FfmpegAbilities,
  signal: AbortSignal | undefined,
): Promise<ProbedFile | null> {
  const wanted = `${entries[0]},${entries[1]}:${entries[2]}:${entries[3]}`;
  const args = [
    '-v',
    'quiet',
    ...inputGuards(abilities),
    '-show_entries',
    wanted,
    '-read_intervals',
    '%+#8',
    '-of',
    'json',
  ];
  const answer = await (typeof input === 'string'
    ? ask(ffprobePath(), [...args, `file:${input}`], signal)
    : ask(ffprobePath(), [...args, 'pipe:0'], signal, input)
  ).catch(() => null);
  if (answer === null || !answer.ok) return null;
  let json: unknown;
  try {
    json = JSON.parse(answer.stdout);
  } catch {
    return null;
  }
  const parsed = probeSchema.safeParse(json);
  return parsed.success ? describe(parsed.data) : null;
}

function describe({ streams, packets, programs, format }: z.infer<typeof probeSchema>): ProbedFile {
  const formats = (format.format_name ?? '').split(',');
  const isMatroska = formats.includes('matroska');
  const origin = finite(format.start_time) ?? 0;
  // Matroska's durations count from 0, wherever the times begin.
  const whole = positive(Number(format.duration) - (isMatroska ? origin : 0));
  const only = streams.length === 1;
  const ownOrigin = discontinuous.some((name) => formats.includes(name));
  const originOf = (stream: (typeof streams)[number]) => (ownOrigin ? finite(stream.start_time) : null) ?? origin;
  const endOf = (stream: (typeof streams)[number]): number | null => {
    const own = positive(Number(stream.duration));
    if (own !== null) return (finite(stream.start_time) ?? origin) + own - originOf(stream);
    const tag = seconds(stream.tags?.DURATION);
    if (tag !== null) return tag - origin;
    // Of several streams another one may be the longest.
    return only || isMatroska || stream.codec_type === 'video' ? whole : null;
  };
  // The first packets tell as well, where ffprobe names the codec that is under the encryption.
  const isEncrypted = ({ index, codec_tag_string }: (typeof streams)[number]): boolean =>
    codec_tag_string === 'encv' ||
    codec_tag_string === 'enca' ||
    packets.some(
      (packet) =>
        packet.stream_index === index &&
        packet.side_data_list?.some(({ side_data_type }) => side_data_type === 'Encryption info'),
    );
  return {
    streams: streams.map((stream) => ({
      index: stream.index,
      kind: stream.codec_type === 'video' || stream.codec_type === 'audio' ? stream.codec_type : 'other',
      codec: stream.codec_name ?? 'unknown',
      width: stream.width ?? 0,
      height: stream.height ?? 0,
      isAttachedPicture: stream.disposition?.attached_pic === 1,
      isDefault: stream.disposition?.default === 1,
      isEncrypted: isEncrypted(stream),
      frameRate: fraction(stream.avg_frame_rate),
      start: finite(stream.start_time) ?? origin,
      origin: originOf(stream),
      hasOwnOrigin: ownOrigin,
      end: positive(endOf(stream) ?? undefined),
      channels: stream.channels ?? 0,
      channelLayout: known(stream.channel_layout),
      isInterlaced: ['tt', 'bb', 'tb', 'bt'].includes(stream.field_order ?? ''),
      sampleAspect: parseRatio(stream.sample_aspect_ratio),
      transfer: known(stream.color_transfer),
      primaries: known(stream.color_primaries),
      matrix: known(stream.color_space),
    })),
    duration: whole,
    programs: programs.map((program) => program.streams.map(({ index }) => index)),
    hasFrameDurations: ['mov', 'matroska', 'gif', 'apng', 'webp'].some((name) => formats.includes(name)),
    timesMayGoBack: !formats.includes('mov'),
  };
}

/** Input options for ffmpeg and ffprobe that keep an untrusted file from reaching beyond itself. */
export function inputGuards(abilities: FfmpegAbilities): string[] {
  return ['-protocol_whitelist', 'file,pipe', '-format_whitelist', abilities.demuxers];
}

function known(text: string | undefined): string {
  return text === undefined || text === 'unknown' || text === 'N/A' ? '' : text;
}

function fraction(text: string | undefined): number | null {
  const [numerator, denominator] = (text ?? '').split('/').map(Number);
  return positive(numerator! / (denominator ?? 1));
}

function positive(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) && value > 0 ? value : null;
}

function finite(text: string | undefined): number | null {
  const value = Number(text ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}

/** `00:00:08.040000000` in seconds. */
function seconds(text: string | undefined): number | null {
  const match = /^(\d+):(\d\d):(\d\d(?:\.\d+)?)$/.exec(text ?? '');
  return match === null ? null : Number(match[1]) * 3600 + Number(match[2]) * 60 + Number(match[3]);
}
