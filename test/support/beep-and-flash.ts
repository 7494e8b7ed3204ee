import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { readAll } from './videos.js';

/** Second at which a beep is heard: the first sample louder than a sixteenth of full scale. */
export async function beep(path: string): Promise<number> {
  const args = [
    '-v',
    'error',
    '-i',
    path,
    '-map',
    '0:a',
    '-af',
    'aresample=async=1:first_pts=0',
    '-ac',
    '1',
    '-ar',
    '8000',
    '-f',
    's16le',
    '-',
  ];
  const { stdout } = await promisify(execFile)('ffmpeg', args, { encoding: 'buffer', maxBuffer: 1 << 26 });
  for (let i = 0; i < stdout.length / 2; i++) if (Math.abs(stdout.readInt16LE(2 * i)) > 2000) return i / 8000;
  return Number.NaN;
}

/** Second at which the picture gets brighter at once. */
export async function flash(path: string): Promise<number> {
  const { frames } = await readAll(path);
  const light = frames.map(({ data }) => data.reduce((sum, value) => sum + value, 0) / data.length);
  const jumps = light.map((value, i) => value - (light[i - 1] ?? value));
  return frames[jumps.indexOf(Math.max(...jumps))]!.time;
}

/** Options of ffmpeg: four seconds, white and loud from the second second on. */
export const beepAndFlash = [
  '-f',
  'lavfi',
  '-i',
  "color=black:size=64x48:rate=25:duration=4,geq=lum='if(gte(T,2),235,16)':cb=128:cr=128",
  '-f',
  'lavfi',
  '-i',
  "aevalsrc='if(gte(t,2),0.8*sin(2000*t),0)':s=44100:d=4",
];
