import { ask, type FfmpegAbilities, ffmpegPath } from './ffmpeg.js';
import { inputGuards, type ProbedStream } from './ffprobe.js';
import type { SoundSource } from './frame.js';

/** A file with sound, and the part of it that goes along: seconds from the video's first frame. */
export interface AudioSource {
  readonly path: string;
  readonly sound: SoundSource;
  /** Default 0. */
  readonly start?: number | undefined;
  /** Default: to the end. */
  readonly end?: number | undefined;
}

export interface AudioArguments {
  /** Options of ffmpeg that add the sound to pictures that are its first input. */
  readonly options: readonly string[];
  readonly warnings: readonly string[];
}

/** One way to take a stream's sound along: options before and after ffmpeg's input. */
interface Form {
  readonly before: readonly string[];
  readonly after: readonly string[];
}

const picturesAlone = ['-map', '0:v:0'];

/** Codecs that MP4 holds and browsers play; everything else becomes AAC. */
const copied = new Set(['aac', 'mp3']);
const aac = ['-c:a', 'aac', '-b:a', '192k'];

/**
 * The sound of a source for pictures whose first one was shown at `firstTime` seconds, so that both stay together: the first
 * stream that this ffmpeg can read and MP4 can take; else the first that can be mixed down; else none. Every choice but the
 * first is a warning: sound never costs the picture.
 */
export async function audioArguments(
  audio: AudioSource,
  firstTime: number,
  abilities: FfmpegAbilities,
  signal?: AbortSignal,
): Promise<AudioArguments> {
  const { streams } = audio.sound;
  const input = [...inputGuards(abilities), '-i', `file:${audio.path}`];
  const works = ({ before, after }: Form, stream: ProbedStream) => {
    // Half a second through the whole way, into a file that nobody reads.
    const output = ['-t', '0.5', '-f', 'mp4', '-movflags', 'frag_keyframe+empty_moov', 'pipe:1'];
    const args = ['-v', 'error', '-nostdin', ...before, ...input, '-map', `0:${stream.index}`, ...after, ...output];
    return ask(ffmpegPath(), args, signal).then(({ ok }) => ok);
  };
  const take = ({ before, after }: Form, stream: ProbedStream, warnings: readonly string[]): AudioArguments => ({
    options: [...before, ...input, ...picturesAlone, '-map', `1:${stream.index}`, ...after],
    warnings,
  });

  for (const stream of streams) {
    for (const form of forms(audio, stream, firstTime)) {
      if (!(await works(form, stream))) continue;
      const why =
        stream === streams[0] ? [] : [`${cannotBeTaken(streams[0]!)}: that of stream ${stream.index} is taken`];
      return take(form, stream, why);
    }
  }
  for (const stream of streams) {
    const form = reencoded(audio, stream, firstTime, mixedDown(stream));
    if (stream.channels < 1 || !(await works(form, stream))) continue;
    const why = `the sound has ${stream.channels} channels in a layout that AAC cannot take: it is mixed down to two`;
    return take(form, stream, [why]);
  }
  const left = streams.length === 0 ? [] : [`${cannotBeTaken(streams[0]!)}: the video is written without sound`];
  return { options: picturesAlone, warnings: left };
}

/** Ways to take a stream along, the best first. */
function forms(audio: AudioSource, stream: ProbedStream, firstTime: number): readonly Form[] {
  const { start = 0, end = Number.POSITIVE_INFINITY, sound } = audio;
  const shift = sound.firstPicture - stream.origin;
  const whole = start <= 0 && firstTime <= 0 && end === Number.POSITIVE_INFINITY;
  const encoded = reencoded(audio, stream, firstTime);
  if (!whole || !copied.has(stream.codec)) return [encoded];
  // ffmpeg counts the sound from its own origin; ours counts from the first picture.
  const goes = (first: string) => ['-bsf:a', `setts=ts=${goesOn('max(PREV_INDURATION\\,1)', first)}`];
  // An input's own offset would move the origin of a format that counts from each stream; elsewhere it is the exact one.
  const copy = stream.hasOwnOrigin
    ? { before: [], after: ['-c:a', 'copy', ...goes(`PTS-(${shift.toFixed(6)})/TB`)] }
    : {
        before: ['-itsoffset', (-shift).toFixed(6)],
        after: ['-c:a', 'copy', ...(sound.mayGoBack ? goes('PTS') : [])],
      };
  return [copy, encoded];
}

function reencoded(
  { sound, end = Number.POSITIVE_INFINITY }: AudioSource,
  { origin }: ProbedStream,
  firstTime: number,
  mix?: string,
): Form {
  const shift = sound.firstPicture - origin;
  const from = shift + Math.max(0, firstTime);
  const until = Number.isFinite(end) ? `:end=${(shift + end).toFixed(6)}` : '';
  const filters = [
    ...(sound.mayGoBack ? [`asetpts=${goesOn('NB_SAMPLES/SR/TB', 'PTS')}`] : []),
    `atrim=start=${from.toFixed(6)}${until}`,
    `asetpts=PTS-${from.toFixed(6)}/TB`,
    // Silence where the sound begins later than the pictures or has a gap.
    'aresample=async=1:first_pts=0',
    ...(mix === undefined ? [] : [mix]),
  ];
  return { before: [], after: ['-af', filters.join(','), ...aac] };
}

/** As `FrameTimes` does for pictures: where times go back, the line goes on from the piece before by its duration. */
function goesOn(duration: string, first: string): string {
  const along = 'PREV_OUTPTS+PTS-PREV_INPTS';
  return `if(eq(N\\,0)\\,${first}\\,if(gte(PTS\\,PREV_INPTS)\\,${along}\\,PREV_OUTPTS+${duration}))`;
}

/** Channels in turn to the left and to the right, whatever they are called. */
function mixedDown({ channels }: ProbedStream): string {
  const side = (first: number) => {
    const parts: string[] = [];
    for (let channel = first; channel < channels; channel += 2) parts.push(`c${channel}`);
    return parts.length === 0 ? 'c0' : parts.map((name) => `${(1 / parts.length).toFixed(6)}*${name}`).join('+');
  };
  return `pan=stereo|c0=${side(0)}|c1=${side(channels > 1 ? 1 : 0)}`;
}

function cannotBeTaken({ index, codec, channels }: ProbedStream): string {
  const what = codec === 'unknown' ? 'a codec that this ffmpeg does not know' : `${codec}, ${channels} channels`;
  return `the sound of stream ${index} (${what}) cannot be taken along`;
}
