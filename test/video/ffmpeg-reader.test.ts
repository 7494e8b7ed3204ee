import { getEventListeners } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { readSafetensors } from '../../src/tensors/safetensors.js';
import { openVideo } from '../../src/video/open-video.js';
import { ffmpeg, ffmpegChildren, probedTimes, rawFrames, readAll, rvosError, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);
const source = (size: string, rate: number | string, seconds: number) => [
  ...['-f', 'lavfi', '-i', `testsrc2=size=320x240:rate=${rate}:duration=${seconds},scale=${size.replace('x', ':')}`],
];
const lossless = ['-c:v', 'libx264rgb', '-crf', '0', '-preset', 'ultrafast'];

beforeAll(async () => {
  folder = await videoFolder();
  await ffmpeg(...source('64x48', 25, 2), '-c:v', 'libx264', '-bf', '3', '-pix_fmt', 'yuv420p', at('plain.mp4'));
});
afterAll(() => folder.remove());

/** Frames, pixels and times equal plain ffmpeg's and ffprobe's. */
async function expectEqualToFfmpeg(path: string, width: number, height: number) {
  const { info, frames, warnings } = await readAll(path);
  expect(info).toMatchObject({ width, height });
  expect(warnings).toEqual([]);
  const expected = rawFrames(path, width, height);
  expect(frames.length).toBe(expected.length);
  for (const [i, frame] of frames.entries()) expect(expected[i]!.equals(frame.data)).toBe(true);
  const times = await probedTimes(path);
  expect(times.length).toBe(frames.length);
  for (const [i, frame] of frames.entries()) expect(Math.abs(frame.time - times[i]!)).toBeLessThan(2e-6);
  return { info, frames };
}

describe('decoding', () => {
  it('equals the frames of the lossless golden clip bit by bit', async () => {
    const goldens = join(import.meta.dirname, '../goldens/e2e');
    const golden = (await readSafetensors(join(goldens, 'e2e.safetensors'))).get('frames')!;
    const { info, frames } = await readAll(join(goldens, 'clip_rgb_lossless.mp4'));
    expect([frames.length, info.height, info.width, 3]).toEqual(golden.shape);
    expect(info).toMatchObject({ frameRate: 12, hasAudio: false });
    const joined = Buffer.concat(frames.map((frame) => frame.data));
    expect(joined.equals(golden.data as Uint8Array)).toBe(true);
    expect(frames.map((frame) => frame.time)).toEqual(frames.map((_, i) => i / 12));
  });

  it('decodes B-frames behind an edit list, in MP4 and MOV', async () => {
    await ffmpeg(...source('64x48', 30, 2), '-c:v', 'libx264', '-bf', '3', '-pix_fmt', 'yuv420p', at('b.mov'));
    await ffmpeg('-ss', '0.5', '-i', at('b.mov'), '-c', 'copy', at('cut.mp4'));
    await expectEqualToFfmpeg(at('b.mov'), 64, 48);
    await expectEqualToFfmpeg(at('cut.mp4'), 64, 48);
  });

  it('keeps each time of a variable frame rate', async () => {
    await ffmpeg(
      ...source('64x48', 25, 3),
      '-vf',
      "select='not(mod(n,5))+gt(n,40)'",
      '-vsync',
      'vfr',
      ...lossless,
      at('vfr.mp4'),
    );
    await ffmpeg('-i', at('vfr.mp4'), '-c', 'copy', at('vfr.mkv'));
    const { frames } = await expectEqualToFfmpeg(at('vfr.mp4'), 64, 48);
    expect(new Set(frames.slice(1).map((f, i) => (f.time - frames[i]!.time).toFixed(2)))).toEqual(
      new Set(['0.20', '0.04']),
    );
    await expectEqualToFfmpeg(at('vfr.mkv'), 64, 48);
  });

  it('counts time from the first picture where sound or an offset comes first', async () => {
    const tone = ['-f', 'lavfi', '-i', 'sine=duration=2'];
    await ffmpeg(
      ...tone,
      '-itsoffset',
      '0.7',
      ...source('64x48', 25, 1),
      '-c:v',
      'libx264',
      '-c:a',
      'aac',
      '-vsync',
      'passthrough',
      at('late.mp4'),
    );
    await ffmpeg(
      ...source('64x48', 25, 1),
      '-c:v',
      'libx264',
      '-output_ts_offset',
      '1234.5',
      '-muxdelay',
      '0',
      at('offset.ts'),
    );
    const { info, frames } = await expectEqualToFfmpeg(at('late.mp4'), 64, 48);
    expect(info.hasAudio).toBe(true);
    expect(frames[0]!.time).toBe(0);
    const offset = (await readAll(at('offset.ts'))).frames;
    expect(offset.map((f) => f.time)).toEqual(Array.from({ length: 25 }, (_, i) => i / 25));
  });

  it('applies rotation, so that size and pixels are upright', async () => {
    await ffmpeg('-i', at('plain.mp4'), '-c', 'copy', '-metadata:s:v:0', 'rotate=90', at('rotated.mp4'));
    const { frames } = await expectEqualToFfmpeg(at('rotated.mp4'), 48, 64);
    expect(frames).toHaveLength(50);
  });

  it.each([
    ['odd.mkv', '97x53', ['-c:v', 'ffv1', '-pix_fmt', 'bgr0']],
    ['one.mkv', '1x1', ['-c:v', 'ffv1', '-pix_fmt', 'bgr0']],
    ['vp9.webm', '66x50', ['-c:v', 'libvpx-vp9', '-deadline', 'realtime']],
    ['mjpeg.avi', '64x48', ['-c:v', 'mjpeg']],
    ['ntsc.mp4', '64x48', ['-c:v', 'mpeg4']],
  ])('reads %s', async (name, size, codec) => {
    const [width, height] = size.split('x').map(Number);
    const still =
      size === '1x1' ? ['-f', 'lavfi', '-i', 'color=red:size=16x16:rate=5:duration=1', '-vf', 'scale=1:1'] : null;
    await ffmpeg(...(still ?? source(size, '30000/1001', 0.5)), ...codec, at(name));
    const { info } = await expectEqualToFfmpeg(at(name), width!, height!);
    if (still === null) expect(info.frameRate).toBeCloseTo(30000 / 1001, 6);
  });

  it('scales frames that change size midway to the first', async () => {
    await ffmpeg(...source('64x48', 25, 1), '-c:v', 'mpeg2video', at('a.ts'));
    await ffmpeg(...source('96x80', 25, 1), '-c:v', 'mpeg2video', at('b.ts'));
    await writeFile(at('both.ts'), Buffer.concat([await readFile(at('a.ts')), await readFile(at('b.ts'))]));
    const { info, frames } = await readAll(at('both.ts'));
    expect(info).toMatchObject({ width: 64, height: 48 });
    expect(frames.length).toBeGreaterThanOrEqual(48);
    expect(frames.every((frame) => frame.data.length === 64 * 48 * 3)).toBe(true);
  });

  it('reads file names that look like options, patterns, protocols or filters', async () => {
    for (const name of ['-i.mp4', 'a:b%03d.mp4', 'http:x.mp4', "it's [0] é.mp4"]) {
      await copyFile(at('plain.mp4'), at(name));
      expect((await readAll(at(name))).frames).toHaveLength(50);
    }
    const previous = process.cwd();
    try {
      process.chdir(folder.path);
      expect((await readAll('-i.mp4')).frames).toHaveLength(50);
    } finally {
      process.chdir(previous);
    }
  });

  it('reads 8K frames and refuses larger ones', async () => {
    await ffmpeg('-f', 'lavfi', '-i', 'color=blue:size=7680x4320:rate=1:duration=2', '-c:v', 'mjpeg', at('8k.avi'));
    const { info, frames } = await readAll(at('8k.avi'), { end: 1 });
    expect(info).toMatchObject({ width: 7680, height: 4320 });
    expect(frames[0]!.data.length).toBe(7680 * 4320 * 3);
    await ffmpeg('-f', 'lavfi', '-i', 'color=blue:size=8200x4320:rate=1:duration=1', '-c:v', 'mjpeg', at('huge.avi'));
    await expect(openVideo(at('huge.avi'))).rejects.toMatchObject(rvosError('BAD_FRAME_SIZE'));
  });
});

describe('trimming', () => {
  it('yields the frames with start ≤ time < end, times counted from the whole video', async () => {
    const all = (await readAll(at('plain.mp4'))).frames;
    for (const [start, end] of [
      [0.4, 0.8],
      [0, 0.04],
      [0.041, 0.121],
      [1.96, 99],
      [0.5, undefined],
    ] as const) {
      const part = (await readAll(at('plain.mp4'), { start, ...(end !== undefined && { end }) })).frames;
      const expected = all.filter((f) => f.time >= start && f.time < (end ?? Infinity));
      expect(part.map((f) => f.time)).toEqual(expected.map((f) => f.time));
      for (const [i, frame] of part.entries()) expect(Buffer.compare(frame.data, expected[i]!.data)).toBe(0);
    }
  });

  it('refuses times that are none, and parts without a frame', async () => {
    const read = (start: number, end?: number) =>
      readAll(at('plain.mp4'), { start, ...(end !== undefined && { end }) });
    for (const [start, end] of [
      [2, 1],
      [1, 1],
      [-1, 2],
      [Number.NaN, 1],
      [Number.POSITIVE_INFINITY, undefined],
      [0, 0],
      [0, Number.NaN],
    ] as const) {
      await expect(read(start, end)).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
    }
    await expect(read(5)).rejects.toMatchObject({
      code: 'NO_FRAMES',
      message: expect.stringContaining('beyond the last frame'),
    });
    await expect(read(0.01, 0.02)).rejects.toMatchObject({
      code: 'NO_FRAMES',
      message: expect.stringContaining('between'),
    });
  });
});

describe('ending early', () => {
  it('leaves no process after break, close, an abort in the middle and an abort before', async () => {
    await ffmpeg(...source('320x240', 25, 8), '-c:v', 'mpeg4', at('long.mp4'));
    const first = await openVideo(at('long.mp4'));
    for await (const frame of first.frames()) if (frame.time > 0.2) break;
    expect(await ffmpegChildren()).toEqual([]);

    const second = await openVideo(at('long.mp4'));
    expect(await ffmpegChildren()).toHaveLength(1);
    await second.close();
    await second.close();
    expect(await ffmpegChildren()).toEqual([]);

    const controller = new AbortController();
    const third = await openVideo(at('long.mp4'), { signal: controller.signal });
    const reading = (async () => {
      for await (const frame of third.frames()) if (frame.time >= 0.2) controller.abort();
    })();
    await expect(reading).rejects.toMatchObject(rvosError('ABORTED'));
    expect(await ffmpegChildren()).toEqual([]);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await expect(openVideo(at('long.mp4'), { signal: controller.signal })).rejects.toMatchObject(rvosError('ABORTED'));
  });

  it('ends an iteration when it is closed meanwhile', async () => {
    const reader = await openVideo(at('plain.mp4'));
    let count = 0;
    for await (const _ of reader.frames()) {
      count++;
      await reader.close();
    }
    expect(count).toBe(1);
  });

  it('says when ffmpeg was killed by somebody else', async () => {
    const reader = await openVideo(at('long.mp4'));
    const [pid] = await ffmpegChildren();
    process.kill(pid!, 'SIGKILL');
    await expect(
      (async () => {
        for await (const _ of reader.frames());
      })(),
    ).rejects.toMatchObject({
      code: 'FFMPEG_FAILED',
      message: expect.stringContaining('SIGKILL'),
    });
  });

  it('waits for a slow consumer instead of buffering', async () => {
    const reader = await openVideo(at('long.mp4'));
    const [pid] = await ffmpegChildren();
    await new Promise((resolve) => setTimeout(resolve, 700));
    const state = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]![0];
    expect(state).toBe('S'); // asleep in its write, long before the end of 200 frames
    let count = 0;
    for await (const _ of reader.frames()) count++;
    expect(count).toBe(200);
  });
});

describe('release', () => {
  it('reuses a buffer only after it was given back', async () => {
    const reader = await openVideo(at('plain.mp4'));
    const buffers = new Set<ArrayBufferLike>();
    for await (const frame of reader.frames()) {
      buffers.add(frame.data.buffer);
      reader.release!(frame);
      reader.release!(frame);
    }
    expect(buffers.size).toBeLessThan(20);
    const kept = await readAll(at('plain.mp4'));
    expect(new Set(kept.frames.map((frame) => frame.data.buffer)).size).toBe(50);
  });
});
