// Clips decoded here, for a machine without ffmpeg: what test/gpu/clips.ts reads.
import { closeSync, mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root } from '../run.mjs';

/** The clips that tests on a GPU segment. */
const clips = ['examples/demo.mp4', 'test/goldens/e2e/clip_rgb_lossless.mp4'];

/** Writes NAME.rgb and NAME.json of each clip into `folder`. */
export async function decodeClips(folder) {
  const { openVideo } = await import('../../dist/index.js');
  mkdirSync(folder, { recursive: true });
  for (const clip of clips) {
    const name = join(folder, basename(clip));
    const file = openSync(`${name}.rgb`, 'w');
    const times = [];
    const reader = await openVideo(join(root, clip));
    let size;
    try {
      for await (const { width, height, data, time } of reader.frames()) {
        size = { width, height };
        times.push(time);
        writeSync(file, data);
      }
    } finally {
      closeSync(file);
      await reader.close();
    }
    writeFileSync(`${name}.json`, JSON.stringify({ ...size, times }));
  }
}
