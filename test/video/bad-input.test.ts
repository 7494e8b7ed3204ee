import { execFileSync } from 'node:child_process';
import { copyFile, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVideo } from '../../src/video/open-video.js';
import { ffmpeg, readAll, rvosError, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);
const source = (size: string, rate: number | string, seconds: number) => [
  ...['-f', 'lavfi', '-i', `testsrc2=size=320x240:rate=${rate}:duration=${seconds},scale=${size.replace('x', ':')}`],
];

beforeAll(async () => {
  folder = await videoFolder();
  await ffmpeg(...source('64x48', 25, 2), '-c:v', 'libx264', '-bf', '3', '-pix_fmt', 'yuv420p', at('plain.mp4'));
});
afterAll(() => folder.remove());

describe('bad input', () => {
  it('reports a missing, empty, unreadable or foreign file in one line', async () => {
    await writeFile(at('empty.mp4'), '');
    await writeFile(at('text.mp4'), 'not a video at all\n'.repeat(100));
    await writeFile(at('noise.mp4'), Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 7919) % 256)));
    await ffmpeg('-f', 'lavfi', '-i', 'sine=duration=1', '-c:a', 'aac', at('sound.m4a'));
    for (const [path, code] of [
      [at('missing.mp4'), 'NOT_FOUND'],
      [at('plain.mp4/x'), 'NOT_FOUND'],
      ['', 'NOT_FOUND'],
      ['a\0b', 'NOT_FOUND'],
      [at('empty.mp4'), 'NOT_A_VIDEO'],
      [at('text.mp4'), 'NOT_A_VIDEO'],
      [at('noise.mp4'), 'NOT_A_VIDEO'],
      [at('sound.m4a'), 'NOT_A_VIDEO'],
    ] as const) {
      const error = await openVideo(path).then(
        () => null,
        (reason: Error) => reason,
      );
      expect(error, path).toMatchObject(rvosError(code));
      expect(error!.message).not.toMatch(/\n/);
    }
    await expect(openVideo(at('sound.m4a'))).rejects.toThrow('holds sound but no video');
  });

  it('does not take the cover of a song for a video', async () => {
    await ffmpeg('-f', 'lavfi', '-i', 'color=red:size=32x32:rate=1:duration=1', '-frames:v', '1', at('cover.png'));
    await ffmpeg(
      '-f',
      'lavfi',
      '-i',
      'sine=duration=1',
      '-i',
      at('cover.png'),
      '-map',
      '0',
      '-map',
      '1',
      '-c:v',
      'copy',
      '-c:a',
      'libmp3lame',
      '-disposition:v',
      'attached_pic',
      at('song.mp3'),
    );
    await expect(openVideo(at('song.mp3'))).rejects.toThrow('holds sound but no video');
  });

  it('does not follow a playlist or script to other files', async () => {
    await ffmpeg('-i', at('plain.mp4'), '-c', 'copy', at('secret.ts'));
    await writeFile(
      at('list.m3u8'),
      `#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n${at('secret.ts')}\n#EXT-X-ENDLIST\n`,
    );
    await writeFile(at('list.mp4'), `ffconcat version 1.0\nfile 'secret.ts'\n`);
    await writeFile(at('list.txt'), 'plain words');
    for (const name of ['list.m3u8', 'list.mp4', 'list.txt']) {
      await expect(openVideo(at(name))).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
    }
  });

  it('decodes what is left of a truncated file and says so', async () => {
    await ffmpeg(...source('320x240', 25, 4), '-c:v', 'libx264', '-movflags', '+faststart', at('whole.mp4'));
    await ffmpeg('-i', at('whole.mp4'), '-c', 'copy', at('whole.mkv'));
    for (const name of ['mp4', 'mkv']) {
      const cut = at(`cut.${name}`);
      await copyFile(at(`whole.${name}`), cut);
      await truncate(cut, Math.floor((await readFile(cut)).length * 0.6));
      const { frames, warnings } = await readAll(cut);
      expect(frames.length).toBeGreaterThan(20);
      expect(frames.length).toBeLessThan(100);
      expect(warnings).toHaveLength(1);
      expect(warnings[0]).toMatch(/cut off|claims/);
    }
    await ffmpeg(...source('320x240', 25, 1), '-c:v', 'libx264', at('tail.mp4'));
    await truncate(at('tail.mp4'), 20000);
    await expect(openVideo(at('tail.mp4'))).rejects.toMatchObject({
      code: 'NOT_A_VIDEO',
      message: expect.stringContaining('index'),
    });
  });

  it('reports a video without a frame', async () => {
    await ffmpeg(...source('64x48', 25, 1), '-c:v', 'libx264', '-frames:v', '0', at('none.mkv')).catch(() => {});
    await ffmpeg('-i', at('plain.mp4'), '-c', 'copy', '-frames:v', '0', at('none.mp4'));
    await expect(openVideo(at('none.mp4'))).rejects.toMatchObject({
      code: expect.stringMatching(/NO_FRAMES|NOT_A_VIDEO/),
    });
  });

  it('reports an absent ffmpeg with the remedy, and a program that is none', async () => {
    const previous = process.env.RVOS_FFMPEG;
    try {
      process.env.RVOS_FFMPEG = '/nowhere/ffmpeg';
      await expect(openVideo(at('plain.mp4'))).rejects.toMatchObject({
        code: 'FFMPEG_MISSING',
        hint: expect.stringContaining('apt-get install ffmpeg'),
      });
      process.env.RVOS_FFMPEG = execFileSync('which', ['true'], { encoding: 'utf8' }).trim();
      await expect(openVideo(at('plain.mp4'))).rejects.toMatchObject(rvosError('FFMPEG_FAILED'));
    } finally {
      if (previous === undefined) delete process.env.RVOS_FFMPEG;
      else process.env.RVOS_FFMPEG = previous;
    }
    expect((await readAll(at('plain.mp4'))).frames).toHaveLength(50);
  });

  it('works without ffprobe', async () => {
    process.env.RVOS_FFPROBE = '/nowhere/ffprobe';
    try {
      expect((await readAll(at('plain.mp4'))).info).toMatchObject({ frameRate: 25, duration: null, hasAudio: false });
    } finally {
      delete process.env.RVOS_FFPROBE;
    }
  });
});
