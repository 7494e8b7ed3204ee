import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVideo } from '../../src/video/open-video.js';
import { ffmpeg, readAll, rvosError, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);
const golden = join(import.meta.dirname, '../goldens/e2e/clip_rgb_lossless.mp4');

beforeAll(async () => {
  folder = await videoFolder();
  const source = (size: string, rate: string) => ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate}:duration=2`];
  const rgb = ['-c:v', 'libx264rgb', '-crf', '0', '-preset', 'ultrafast'];
  await ffmpeg(...source('128x96', '30000/1001'), ...rgb, at('ntsc.mp4'));
  await ffmpeg(...source('128x96', '24'), '-vf', 'scale=97:53', '-c:v', 'ffv1', '-pix_fmt', 'bgr0', at('odd.mkv'));
  await ffmpeg(
    ...source('128x96', '25'),
    '-vf',
    "select='not(mod(n,3))+gt(n,30)'",
    '-vsync',
    'vfr',
    ...rgb,
    at('vfr.mp4'),
  );
});
afterAll(() => folder.remove());

describe('the OpenCV reader', () => {
  it.each(['golden', 'ntsc.mp4', 'odd.mkv', 'vfr.mp4'])(
    'yields the frames and times of the ffmpeg reader: %s',
    async (name) => {
      const path = name === 'golden' ? golden : at(name);
      const expected = await readAll(path);
      const { info, frames } = await readAll(path, { decoder: 'opencv' });
      expect(info).toMatchObject({ width: expected.info.width, height: expected.info.height });
      expect(frames.length).toBe(expected.frames.length);
      for (const [i, frame] of frames.entries()) {
        expect(Buffer.compare(frame.data, expected.frames[i]!.data)).toBe(0);
        // The last two frames of a file bring no time of their own: their distance is that of the average rate.
        if (name !== 'vfr.mp4' || i < frames.length - 2) expect(frame.time).toBeCloseTo(expected.frames[i]!.time, 3);
        if (i > 0) expect(frame.time).toBeGreaterThan(frames[i - 1]!.time);
      }
    },
  );

  it('knows of sound, which OpenCV does not', async () => {
    await ffmpeg('-i', golden, '-f', 'lavfi', '-i', 'sine=duration=1', '-c:v', 'copy', '-c:a', 'aac', at('tone.mp4'));
    const { info } = await readAll(at('tone.mp4'), { decoder: 'opencv' });
    expect(info).toMatchObject({ hasAudio: true, file: at('tone.mp4') });
  });

  it('trims like the ffmpeg reader', async () => {
    const part = { start: 0.5, end: 1.5 };
    const expected = (await readAll(golden, part)).frames;
    const frames = (await readAll(golden, { ...part, decoder: 'opencv' })).frames;
    expect(frames.map((frame) => frame.time)).toEqual(expected.map((frame) => frame.time));
  });

  it('reports bad input with a type', async () => {
    await ffmpeg('-f', 'lavfi', '-i', 'sine=duration=1', '-c:a', 'aac', at('sound.m4a'));
    await expect(openVideo(at('sound.m4a'), { decoder: 'opencv' })).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
    await expect(readAll(golden, { decoder: 'opencv', start: 50 })).rejects.toMatchObject(rvosError('NO_FRAMES'));
    await ffmpeg('-i', golden, '-c:v', 'mpeg2video', at('secret.ts'));
    await writeFile(
      at('list.m3u8'),
      `#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n${at('secret.ts')}\n#EXT-X-ENDLIST\n`,
    );
    await expect(openVideo(at('list.m3u8'), { decoder: 'opencv' })).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
    const signal = AbortSignal.abort();
    await expect(openVideo(golden, { decoder: 'opencv', signal })).rejects.toMatchObject(rvosError('ABORTED'));
  });
});
