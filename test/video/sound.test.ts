import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { beep, beepAndFlash, flash } from '../support/beep-and-flash.js';
import { rewriteVideo } from '../support/rewrite-video.js';
import { ffmpeg, ffprobeJson, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);
const picture = (size: string, rate: number | string, seconds: number) => [
  '-f',
  'lavfi',
  '-i',
  `testsrc2=size=320x240:rate=${rate}:duration=${seconds},scale=${size.replace('x', ':')}`,
];

beforeAll(async () => {
  folder = await videoFolder();
});
afterAll(() => folder.remove());

describe('sound', () => {
  const tone = ['-f', 'lavfi', '-i', 'sine=frequency=440:duration=3'];

  it.each([
    ['aac', 'mp4', ['-c:a', 'aac'], 'aac', true],
    ['mp3', 'mkv', ['-c:a', 'libmp3lame'], 'mp3', true],
    ['opus', 'webm', ['-c:v', 'libvpx', '-deadline', 'realtime', '-c:a', 'libopus'], 'aac', false],
    ['pcm', 'mov', ['-c:v', 'mpeg4', '-c:a', 'pcm_s16le'], 'aac', false],
    ['flac', 'mkv', ['-c:a', 'flac'], 'aac', false],
  ] as const)(
    'is copied where MP4 can hold it, else encoded: %s in %s',
    async (name, container, codec, expected, copied) => {
      const source = at(`${name}.${container}`);
      await ffmpeg(...picture('64x48', 25, 3), ...tone, ...codec, source);
      await rewriteVideo(source, at(`${name}-out.mp4`));
      const { streams } = await ffprobeJson(at(`${name}-out.mp4`), '-show_streams');
      expect(streams!.map((s) => s.codec_name)).toEqual(['h264', expected]);
      const packets = async (path: string) =>
        (await ffprobeJson(path, '-select_streams', 'a', '-show_packets', '-show_data_hash', 'md5')).packets!.map(
          (p) => p.data_hash,
        );
      if (copied) expect(await packets(at(`${name}-out.mp4`))).toEqual(await packets(source));
      expect(Math.abs(Number(streams![1]!.duration) - 3)).toBeLessThan(0.1);
      expect(Math.abs(Number(streams![0]!.start_time) - Number(streams![1]!.start_time))).toBeLessThan(0.03);
    },
  );

  it('stays with the picture: whole, trimmed, and where it starts earlier or later', async () => {
    await ffmpeg(...beepAndFlash, '-c:a', 'aac', at('sync.mp4'));
    await ffmpeg(
      '-itsoffset',
      '0.5',
      '-i',
      at('sync.mp4'),
      '-i',
      at('sync.mp4'),
      '-map',
      '0:v',
      '-map',
      '1:a',
      '-c',
      'copy',
      at('early.mkv'),
    );
    await ffmpeg(
      '-itsoffset',
      '0.5',
      '-i',
      at('sync.mp4'),
      '-i',
      at('sync.mp4'),
      '-map',
      '1:v',
      '-map',
      '0:a',
      '-c',
      'copy',
      at('late.mkv'),
    );
    for (const [name, offset] of [
      ['sync.mp4', 0],
      ['early.mkv', -0.5],
      ['late.mkv', 0.5],
    ] as const) {
      for (const trim of offset === 0 ? [{}, { start: 0.99, end: 3.5 }, { end: 3 }] : [{}, { start: 1, end: 4 }]) {
        await rewriteVideo(at(name), at('sync-out.mp4'), trim, { force: true });
        const seen = await flash(at('sync-out.mp4'));
        const first = Math.ceil((trim.start ?? 0) * 25 - 1e-9) / 25;
        expect(Math.abs(seen - (2 - first))).toBeLessThan(0.001);
        expect(
          Math.abs((await beep(at('sync-out.mp4'))) - seen - offset),
          `${name} ${JSON.stringify(trim)}`,
        ).toBeLessThan(0.03);
      }
    }
    const { streams } = await ffprobeJson(at('sync-out.mp4'), '-show_streams');
    expect(Math.abs(Number(streams![1]!.duration) - 3)).toBeLessThan(0.05);
  });

  it('is absent where the source has none', async () => {
    await ffmpeg(...picture('64x48', 25, 1), at('mute.mp4'));
    await rewriteVideo(at('mute.mp4'), at('mute-out.mp4'), { start: 0.4 });
    expect((await ffprobeJson(at('mute-out.mp4'), '-show_streams')).streams).toHaveLength(1);
  });
});
