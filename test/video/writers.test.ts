import { execFile } from 'node:child_process';
import { getEventListeners } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeCutoutVideo } from '../../src/video/cutout-video-writer.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { MaskedVideoWriter } from '../../src/video/masked-video-writer.js';
import { timeScale } from '../../src/video/video-encoder.js';
import { rewriteVideo } from '../support/rewrite-video.js';
import {
  ffmpeg,
  ffmpegChildren,
  ffprobeJson,
  probedTimes,
  rawFrames,
  readAll,
  rvosError,
  videoFolder,
} from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);
const picture = (size: string, rate: number | string, seconds: number) => [
  '-f',
  'lavfi',
  '-i',
  `testsrc2=size=320x240:rate=${rate}:duration=${seconds},scale=${size.replace('x', ':')}`,
];
const red = [237, 30, 121] as const;

beforeAll(async () => {
  folder = await videoFolder();
});
afterAll(() => folder.remove());

const solid = (width: number, height: number, time: number, value = 90): RgbFrame => ({
  width,
  height,
  time,
  data: new Uint8Array(width * height * 3).fill(value),
});

describe('MaskedVideoWriter', () => {
  it('makes an MP4 that browsers play: H.264, yuv420p, index in front', async () => {
    await ffmpeg(...picture('320x180', 25, 1), at('plain.mp4'));
    await rewriteVideo(at('plain.mp4'), at('plain-out.mp4'), {}, { captions: [{ text: 'a red ball', color: red }] });
    const { streams } = await ffprobeJson(at('plain-out.mp4'), '-show_streams');
    expect(streams![0]).toMatchObject({
      codec_name: 'h264',
      pix_fmt: 'yuv420p',
      width: 320,
      height: 198,
      avg_frame_rate: '25/1',
      color_space: 'bt709',
    });
    const { stderr } = await promisify(execFile)('ffprobe', ['-v', 'trace', at('plain-out.mp4')], {
      maxBuffer: 1 << 26,
    });
    expect(stderr.indexOf("type:'moov'")).toBeGreaterThan(0);
    expect(stderr.indexOf("type:'moov'")).toBeLessThan(stderr.indexOf("type:'mdat'"));
  });

  it('keeps the picture, padding odd sizes by repeating the last column and row', async () => {
    await ffmpeg(...picture('97x53', 10, 1), '-c:v', 'ffv1', '-pix_fmt', 'bgr0', at('odd.mkv'));
    await rewriteVideo(at('odd.mkv'), at('odd.mp4'));
    const source = rawFrames(at('odd.mkv'), 97, 53);
    const written = rawFrames(at('odd.mp4'), 98, 54);
    expect(written).toHaveLength(source.length);
    const value = (frame: Buffer, width: number, x: number, y: number) => frame[(y * width + x) * 3 + 1]!;
    let difference = 0;
    for (let y = 0; y < 54; y++) {
      for (let x = 0; x < 98; x++) {
        difference += Math.abs(value(written[3]!, 98, x, y) - value(source[3]!, 97, Math.min(x, 96), Math.min(y, 52)));
      }
    }
    // Chroma is halved by yuv420p; luminance, most of green, stays.
    expect(difference / (98 * 54)).toBeLessThan(12);
  });

  it('writes a 1×1 video', async () => {
    const writer = await MaskedVideoWriter.open(at('one.mp4'), { width: 1, height: 1, frameRate: null, captions: [] });
    await writer.write(solid(1, 1, 0));
    await writer.finish();
    expect((await ffprobeJson(at('one.mp4'), '-show_streams')).streams![0]).toMatchObject({ width: 2, height: 2 });
  });

  it.each([
    ['25', 25],
    ['30000/1001', 30000 / 1001],
    ['24000/1001', 24000 / 1001],
    ['12', 12],
  ])('keeps constant timing exactly: %s', async (rate) => {
    await ffmpeg(...picture('64x48', rate, 2), at('cfr.mp4'));
    await rewriteVideo(at('cfr.mp4'), at('cfr-out.mp4'), {}, { force: true });
    const [before, after] = [await readAll(at('cfr.mp4')), await readAll(at('cfr-out.mp4'))];
    expect(after.frames.map((f) => f.time)).toEqual(before.frames.map((f) => f.time));
    expect(after.info.frameRate).toBeCloseTo(before.info.frameRate!, 9);
  });

  it('keeps variable timing', async () => {
    await ffmpeg(...picture('64x48', 30, 3), '-vf', "select='not(mod(n,7))+gt(n,50)'", '-vsync', 'vfr', at('vfr.mp4'));
    await rewriteVideo(at('vfr.mp4'), at('vfr-out.mp4'));
    const [before, after] = [await probedTimes(at('vfr.mp4')), await probedTimes(at('vfr-out.mp4'))];
    expect(after.length).toBe(before.length);
    for (const [i, time] of after.entries()) expect(Math.abs(time - before[i]!)).toBeLessThan(1e-4);
  });

  it('chooses ticks that hold every frame of a constant rate', () => {
    expect(timeScale(25) % 25).toBe(0);
    expect(timeScale(30000 / 1001)).toBe(30000);
    expect(timeScale(13.370001)).toBe(90000);
    expect(timeScale(null)).toBe(90000);
    expect(timeScale(240)).toBeGreaterThanOrEqual(10000);
  });
});

describe('endings', () => {
  const options = { width: 64, height: 48, frameRate: 25, captions: [] };

  it('leaves nothing after abort, a signal, a bad frame, or no frame', async () => {
    const before = await readdir(folder.path);
    const aborted = await MaskedVideoWriter.open(at('a.mp4'), options);
    for (let i = 0; i < 5; i++) await aborted.write(solid(64, 48, i / 25));
    await aborted.abort();
    await aborted.abort();
    await expect(aborted.write(solid(64, 48, 1))).rejects.toThrow();

    const controller = new AbortController();
    const signalled = await MaskedVideoWriter.open(at('b.mp4'), { ...options, signal: controller.signal });
    await signalled.write(solid(64, 48, 0));
    controller.abort();
    await expect(signalled.write(solid(64, 48, 1))).rejects.toMatchObject(rvosError('ABORTED'));
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);

    const wrong = await MaskedVideoWriter.open(at('c.mp4'), options);
    await wrong.write(solid(64, 48, 0.5));
    await expect(wrong.write(solid(64, 48, 0.5))).rejects.toThrow('does not grow');
    await expect((await MaskedVideoWriter.open(at('d.mp4'), options)).finish()).rejects.toMatchObject(
      rvosError('NO_FRAMES'),
    );

    expect(await readdir(folder.path)).toEqual(before);
    expect(await ffmpegChildren()).toEqual([]);
  });

  it('refuses an existing file, a missing folder, and replaces when forced', async () => {
    const write = async (path: string, force: boolean) => {
      const writer = await MaskedVideoWriter.open(path, { ...options, force });
      await writer.write(solid(64, 48, 0));
      await writer.finish();
    };
    await write(at('once.mp4'), false);
    await expect(write(at('once.mp4'), false)).rejects.toMatchObject(rvosError('OUTPUT_EXISTS'));
    await write(at('once.mp4'), true);
    await expect(write(at('no/once.mp4'), false)).rejects.toMatchObject(rvosError('OUTPUT_NOT_WRITABLE'));
  });

  it('reports an encoder that dies, with nothing left', async () => {
    const writer = await MaskedVideoWriter.open(at('dies.mp4'), options);
    await writer.write(solid(64, 48, 0));
    const [pid] = await ffmpegChildren();
    process.kill(pid!, 'SIGKILL');
    const writing = (async () => {
      for (let i = 1; i < 2000; i++) await writer.write(solid(64, 48, i / 25));
    })();
    await expect(writing).rejects.toMatchObject(rvosError('FFMPEG_FAILED'));
    expect((await readdir(folder.path)).filter((name) => name.includes('dies'))).toEqual([]);
  });
});

describe('writeCutoutVideo', () => {
  it('keeps transparency and timing', async () => {
    const frames = Array.from({ length: 12 }, (_, i) => {
      const data = new Uint8Array(65 * 49 * 4);
      for (let p = 0; p < 65 * 49; p++) data.set(p % 65 < 5 * i ? [200, 60, 40, 255] : [0, 0, 0, 0], 4 * p);
      return { data, time: 3 + i / 8 };
    });
    await writeCutoutVideo(at('cut.webm'), frames, { width: 65, height: 49, frameRate: 8 });
    const args = [
      '-v',
      'error',
      '-c:v',
      'libvpx-vp9',
      '-i',
      at('cut.webm'),
      '-vsync',
      'passthrough',
      '-pix_fmt',
      'rgba',
      '-f',
      'rawvideo',
      '-',
    ];
    const { stdout } = await promisify(execFile)('ffmpeg', args, { encoding: 'buffer', maxBuffer: 1 << 26 });
    expect(stdout.length).toBe(12 * 65 * 49 * 4);
    for (const i of [0, 5, 11]) {
      const alpha = (x: number) => stdout[((i * 49 + 24) * 65 + x) * 4 + 3]!;
      if (i > 0) expect(alpha(5 * i - 4)).toBeGreaterThan(220);
      expect(alpha(5 * i + 4)).toBeLessThan(35);
    }
    const times = await probedTimes(at('cut.webm'));
    expect(times.map((time) => time.toFixed(3))).toEqual(frames.map((_, i) => (i / 8).toFixed(3)));
  });
});
