// Frames a second that the video reader decodes, beside what ffmpeg alone does: decoding only, and to a raw RGB pipe.
// Run after `npm run build:ts`:  node bench/decode.mjs [seconds of video]
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openVideo } from '../dist/video/open-video.js';

const seconds = Number(process.argv[2] ?? 20);
const folder = mkdtempSync(join(tmpdir(), 'rvos-bench-'));

async function timed(work) {
  const start = performance.now();
  const frames = await work();
  return frames / ((performance.now() - start) / 1000);
}

/** Runs ffmpeg on the file and reads its standard output to the end. */
function ffmpeg(args) {
  return new Promise((resolve, reject) => {
    const child = spawn('ffmpeg', ['-v', 'error', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    let bytes = 0;
    child.stdout.on('data', (chunk) => {
      bytes += chunk.length;
    });
    child.once('error', reject).once('close', () => resolve(bytes));
  });
}

try {
  for (const [width, height] of [
    [640, 360],
    [1280, 720],
  ]) {
    const file = join(folder, `${height}.mp4`);
    const source = `testsrc2=size=${width}x${height}:rate=25:duration=${seconds}`;
    spawnSync('ffmpeg', [
      '-v',
      'error',
      '-f',
      'lavfi',
      '-i',
      source,
      '-pix_fmt',
      'yuv420p',
      '-preset',
      'veryfast',
      file,
    ]);
    const total = seconds * 25;
    const rates = {
      'ffmpeg, decoding only': await timed(() => ffmpeg(['-i', file, '-f', 'null', '-']).then(() => total)),
      'ffmpeg, raw RGB pipe': await timed(() =>
        ffmpeg(['-i', file, '-pix_fmt', 'rgb24', '-f', 'rawvideo', '-']).then((bytes) => bytes / (width * height * 3)),
      ),
      'rvos reader': await timed(async () => {
        const reader = await openVideo(file);
        let frames = 0;
        for await (const frame of reader.frames()) {
          frames++;
          reader.release(frame);
        }
        return frames;
      }),
    };
    for (const [name, rate] of Object.entries(rates)) {
      console.log(`${width}×${height}  ${name.padEnd(22)} ${rate.toFixed(0).padStart(5)} frames/s`);
    }
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}
