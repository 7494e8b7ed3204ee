import { execFile } from 'node:child_process';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { RvosError } from '../errors.js';

/** What the installed ffmpeg can do; found out once for each path. */
export interface FfmpegAbilities {
  /** As ffmpeg names itself, e.g. `5.1.9-0+deb12u1`. */
  readonly version: string;
  /** Options that hand on every decoded frame once, with its own time. */
  readonly passthrough: readonly string[];
  /** Value of `-format_whitelist`: every container it knows that does not read further files. */
  readonly demuxers: string;
}

export function ffmpegPath(): string {
  return process.env.RVOS_FFMPEG || 'ffmpeg';
}

export function ffprobePath(): string {
  return process.env.RVOS_FFPROBE || 'ffprobe';
}

export function ffmpegMissing(program: string, cause?: unknown): RvosError {
  return new RvosError(
    'FFMPEG_MISSING',
    `the program ${program} cannot be started`,
    'Install ffmpeg 5.1 or newer (Debian, Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg), or name it in RVOS_FFMPEG and RVOS_FFPROBE.',
    { cause },
  );
}

/**
 * Demuxers that open other files or addresses named in their input (a hostile "video" could show the user's own
 * files or reach the network), and those that make pictures of any text.
 */
const refusedDemuxers = new Set(
  (
    'concat concatf hls applehttp dash imf sdp rtp rtsp sap image2 image2pipe alias_pix webm_dash_manifest ' +
    'vapoursynth avisynth lavfi tedcaptions libmodplug libopenmpt libgme bluray dvdvideo ' +
    'vobsub svg_pipe tty bin xbin adf idf ffmetadata data'
  ).split(' '),
);

/** Time limit of questions to ffmpeg and ffprobe, in milliseconds. */
export const questionTimeout = 30_000;

/** Runs a program that answers and ends. Throws FFMPEG_MISSING if it cannot be started. */
export function ask(
  program: string,
  args: readonly string[],
  signal?: AbortSignal,
  stdin?: Readable,
): Promise<{ ok: boolean; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const options = {
      maxBuffer: 16 << 20,
      timeout: questionTimeout,
      windowsHide: true,
      killSignal: 'SIGKILL' as const,
    };
    const child = execFile(program, [...args], { ...options, signal }, (error, stdout, stderr) => {
      const code = error === null ? undefined : error.code;
      if (code === 'ENOENT' || code === 'EACCES') reject(ffmpegMissing(program, error));
      else resolve({ ok: error === null, stdout, stderr });
    });
    // It takes what it needs.
    if (stdin) pipeline(stdin, child.stdin!).catch(() => {});
  });
}

const known = new Map<string, Promise<FfmpegAbilities>>();

/** Throws FFMPEG_MISSING, or FFMPEG_FAILED if the program does not answer like ffmpeg. */
export function ffmpegAbilities(): Promise<FfmpegAbilities> {
  const path = ffmpegPath();
  let abilities = known.get(path);
  if (abilities === undefined) {
    abilities = findAbilities(path);
    known.set(path, abilities);
    // A failure is not remembered: the user may install ffmpeg meanwhile.
    abilities.catch(() => known.delete(path));
  }
  return abilities;
}

async function findAbilities(path: string): Promise<FfmpegAbilities> {
  const answer = await ask(path, ['-demuxers']);
  const version = /^ffmpeg version (\S+)/m.exec(answer.stderr)?.[1];
  const names = [...answer.stdout.matchAll(/^ D[ d.]*\s+(\S+)/gm)]
    .map((match) => match[1]!)
    .filter((name) => name !== '=' && !name.split(',').some((part) => refusedDemuxers.has(part)));
  if (version === undefined || names.length === 0) {
    throw new RvosError(
      'FFMPEG_FAILED',
      `the program ${path} does not answer like ffmpeg`,
      'Point RVOS_FFMPEG at ffmpeg 5.1 or newer.',
    );
  }
  return { version, passthrough: passthroughOptions(version), demuxers: names.join(',') };
}

const lists = new Map<string, Promise<ReadonlySet<string>>>();

/** Names that `ffmpeg -<kind>` lists, found out once for each path. Throws FFMPEG_MISSING. */
function listed(kind: string, line: RegExp): Promise<ReadonlySet<string>> {
  const path = ffmpegPath();
  const key = `${kind} ${path}`;
  let names = lists.get(key);
  if (names === undefined) {
    names = ask(path, ['-hide_banner', `-${kind}`]).then(
      ({ stdout }) => new Set([...stdout.matchAll(line)].map((match) => match[1]!)),
    );
    lists.set(key, names);
    names.catch(() => lists.delete(key));
  }
  return names;
}

/** Names of the encoders that ffmpeg has, e.g. `libx264`. Throws FFMPEG_MISSING. */
export function ffmpegEncoders(): Promise<ReadonlySet<string>> {
  return listed('encoders', /^ [VAS][\w.]{5}\s+(\S+)/gm);
}

/** Names of the filters that ffmpeg has, e.g. `zscale`. Throws FFMPEG_MISSING. */
export function ffmpegFilters(): Promise<ReadonlySet<string>> {
  return listed('filters', /^ [\w.]{2,3} (\w+)\s+\S+->\S+/gm);
}

/** Builds from git have names without a release number; they are taken for new. */
export function passthroughOptions(version: string): string[] {
  const release = /^n?(\d+)(?:\.(\d+))?/.exec(version);
  const number = release === null ? 100 : Number(release[1]) + Number(release[2] ?? 0) / 100;
  return [
    ...(number >= 5.01 ? ['-fps_mode', 'passthrough'] : ['-vsync', 'passthrough']),
    // Frames keep the time base of their container.
    ...['-enc_time_base', number >= 6.01 ? 'demux' : '-1'],
  ];
}
