import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { OpenVideoOptions, RgbFrame, VideoInfo } from '../../src/video/frame.js';
import { openVideo } from '../../src/video/open-video.js';

const run = promisify(execFile);

/** A temporary folder for a test file's videos. */
export async function videoFolder(): Promise<{ path: string; remove(): Promise<void> }> {
  const path = await mkdtemp(join(tmpdir(), 'rvos-video-'));
  return { path, remove: () => rm(path, { recursive: true, force: true }) };
}

export async function ffmpeg(...args: string[]): Promise<void> {
  await run('ffmpeg', ['-v', 'error', '-nostdin', '-y', ...args]);
}

export async function ffprobeJson(
  path: string,
  ...args: string[]
): Promise<Record<string, Array<Record<string, unknown>>>> {
  const { stdout } = await run('ffprobe', ['-v', 'error', '-of', 'json', ...args, path], { maxBuffer: 1 << 26 });
  return JSON.parse(stdout) as Record<string, Array<Record<string, unknown>>>;
}

/** Every frame's pixels by plain ffmpeg, the reference for our reader. */
export function rawFrames(path: string, width: number, height: number, filter?: string): Buffer[] {
  const passthrough = ['-vsync', 'passthrough', ...(filter === undefined ? [] : ['-vf', filter])];
  const args = ['-v', 'error', '-i', path, '-map', '0:v:0', ...passthrough, '-pix_fmt', 'rgb24', '-f', 'rawvideo', '-'];
  const { stdout } = spawnSync('ffmpeg', args, { maxBuffer: 1 << 30 });
  const size = width * height * 3;
  return Array.from({ length: stdout.length / size }, (_, i) => stdout.subarray(i * size, (i + 1) * size));
}

/** Presentation times of decoded frames as ffprobe lists them, relative to the first. */
export async function probedTimes(path: string): Promise<number[]> {
  const { frames } = await ffprobeJson(
    path,
    '-select_streams',
    'v:0',
    '-show_frames',
    '-show_entries',
    'frame=pts_time',
  );
  const times = frames!.map((frame) => Number(frame.pts_time));
  return times.map((time) => time - times[0]!);
}

export interface ReadVideo {
  readonly info: VideoInfo;
  readonly frames: RgbFrame[];
  readonly warnings: readonly string[];
}

export async function readAll(input: string, options: OpenVideoOptions = {}): Promise<ReadVideo> {
  const reader = await openVideo(input, options);
  try {
    const frames: RgbFrame[] = [];
    for await (const frame of reader.frames()) frames.push(frame);
    return { info: reader.info, frames, warnings: reader.warnings };
  } finally {
    await reader.close();
  }
}

/** Process ids of children of this process whose program is ffmpeg or ffprobe, zombies included. */
export async function ffmpegChildren(parent = process.pid): Promise<number[]> {
  if (!existsSync('/proc')) return [];
  const found: number[] = [];
  const { readFile } = await import('node:fs/promises');
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = await readFile(`/proc/${entry}/stat`, 'utf8').catch(() => '');
    const match = /^\d+ \((.*)\) \S (\d+)/.exec(stat);
    if (match !== null && Number(match[2]) === parent && /^ff(mpeg|probe)/.test(match[1]!)) found.push(Number(entry));
  }
  return found;
}

export const rvosError = (code: string) => ({ name: code === 'ABORTED' ? 'AbortError' : 'RvosError', code });
