import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileSource } from '../support/compiled-source.js';
import { ffmpeg, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
let compiled: ReturnType<typeof compileSource>;
beforeAll(async () => {
  compiled = compileSource();
  folder = await videoFolder();
  const source = ['-f', 'lavfi', '-i', 'testsrc2=size=1280x720:rate=25:duration=10'];
  await ffmpeg(...source, '-c:v', 'mpeg4', '-q:v', '8', join(folder.path, '10.mp4'));
  await ffmpeg('-stream_loop', '5', '-i', join(folder.path, '10.mp4'), '-c', 'copy', join(folder.path, '60.mp4'));
});
afterAll(async () => {
  compiled.remove();
  await folder.remove();
});

/** Peak resident memory in MiB of a process that reads a video, keeping a window of 24 frames as segmenting does. */
async function peak(name: string): Promise<{ frames: number; mebibytes: number }> {
  const script = `
    import { openVideo } from ${JSON.stringify(join(compiled.folder, 'video/open-video.js'))};
    const reader = await openVideo(${JSON.stringify(join(folder.path, name))});
    const window = [];
    let frames = 0;
    for await (const frame of reader.frames()) {
      frames++;
      window.push(frame);
      if (window.length > 24) reader.release(window.shift());
    }
    console.log(JSON.stringify({ frames, mebibytes: process.resourceUsage().maxRSS / 1024 }));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);
  return JSON.parse(stdout) as { frames: number; mebibytes: number };
}

describe('memory', () => {
  it('does not depend on the length of the video', async () => {
    const shorts = [await peak('10.mp4'), await peak('10.mp4')] as const;
    const long = await peak('60.mp4');
    expect([shorts[0].frames, long.frames]).toEqual([250, 1500]);
    // What the pipe's chunks add depends on when the collector runs: two short runs show its range.
    expect(long.mebibytes / Math.max(...shorts.map((short) => short.mebibytes))).toBeLessThan(1.3);
    // Node itself, 24 frames of 2.6 MiB, and what is on its way.
    expect(long.mebibytes).toBeLessThan(320);
  });
});
