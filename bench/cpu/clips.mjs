// The clips that all columns get: the sample clip, scaled and repeated, a new part of it in every round.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/run.mjs';

const source = join(root, 'examples', 'demo.mp4');
const rateOfSource = 12;

/** Raw RGB frames [T,H,W,3] of a workload's clip in a file; made once. */
export function rawClip(folder, { frames, size }, clip, round) {
  const path = join(folder, `${frames}x${size.height}x${size.width}-${clip}-${round}.rgb`);
  if (!existsSync(path)) {
    const start = ((clip * 5 + round * 7) % 20) / rateOfSource;
    ffmpeg([
      ...input(start),
      '-vf',
      scaled(size),
      '-frames:v',
      String(frames),
      '-f',
      'rawvideo',
      '-pix_fmt',
      'rgb24',
      path,
    ]);
  }
  return path;
}

/** The same as an encoded file. */
export function encodedClip(folder, { frames, size, rate }, round) {
  const path = join(folder, `${frames}x${size.height}x${size.width}-${rate}-${round}.mp4`);
  if (!existsSync(path)) {
    const filter = `setpts=N/${rate}/TB,${scaled(size)}`;
    const output = [
      '-frames:v',
      String(frames),
      '-r',
      String(rate),
      '-c:v',
      'libx264',
      '-pix_fmt',
      'yuv420p',
      '-an',
      path,
    ];
    ffmpeg([...input(round / rateOfSource), '-vf', filter, ...output]);
  }
  return path;
}

function input(start) {
  return ['-stream_loop', '-1', '-ss', start.toFixed(3), '-i', source];
}

function scaled({ height, width }) {
  // Portrait is a part of the picture, upright.
  return `scale=${width}:${height}:force_original_aspect_ratio=increase,crop=${width}:${height}`;
}

function ffmpeg(args) {
  execFileSync('ffmpeg', ['-v', 'error', '-y', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
}
