import { execFileSync } from 'node:child_process';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { passthroughOptions } from '../../src/video/ffmpeg.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { type FrameLike, framesFromMats, toRgbFrames } from '../../src/video/frame-iterable.js';
import { NutDemuxer } from '../../src/video/nut-demuxer.js';
import { openVideo } from '../../src/video/open-video.js';
import { CaptureTimes } from '../../src/video/opencv-reader.js';
import { timestamp } from '../../src/video/timestamps.js';
import { rvosError } from '../support/videos.js';

async function collect(frames: Iterable<FrameLike>, frameRate?: number): Promise<RgbFrame[]> {
  const result: RgbFrame[] = [];
  for await (const frame of toRgbFrames(frames, frameRate === undefined ? {} : { frameRate })) result.push(frame);
  return result;
}

describe('frames of one’s own', () => {
  const data = (length = 12) => Uint8Array.from({ length }, (_, i) => i);

  it('keep their bytes and get a time', async () => {
    const bytes = data();
    const frames = await collect(
      [
        { width: 2, height: 2, data: bytes },
        { width: 2, height: 2, data: new Uint8ClampedArray(12), index: 3 },
        { width: 2, height: 2, data: data(), time: 9 },
      ],
      10,
    );
    expect(frames.map((frame) => frame.time)).toEqual([0, 0.3, 9]);
    expect(frames[0]!.data.buffer).toBe(bytes.buffer);
  });

  it('may be OpenCV Mats: BGR, BGRA, grey', async () => {
    const mat = (channels: number, bytes: number[]) => ({
      rows: 1,
      cols: 2,
      channels,
      depth: 0,
      getData: () => Buffer.from(bytes),
    });
    const frames: RgbFrame[] = [];
    const mats = [mat(3, [1, 2, 3, 4, 5, 6]), mat(4, [1, 2, 3, 0, 4, 5, 6, 0]), mat(1, [7, 8])];
    for await (const frame of framesFromMats(mats)) frames.push(frame);
    expect(frames.map((frame) => [...frame.data])).toEqual([
      [3, 2, 1, 6, 5, 4],
      [3, 2, 1, 6, 5, 4],
      [7, 7, 7, 8, 8, 8],
    ]);
    expect(frames.map((frame) => frame.time)).toEqual([0, 0.04, 0.08]);
    for (const bad of [mat(3, [1, 2, 3]), mat(2, [1, 2, 3, 4]), { ...mat(3, [1, 2, 3, 4, 5, 6]), depth: 5 }]) {
      await expect(collect([bad])).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
    }
  });

  it('are checked', async () => {
    const good = { width: 2, height: 2, data: data() };
    for (const bad of [
      { ...good, data: data(11) },
      { ...good, data: data(16) },
      { ...good, width: 2.5 },
      { ...good, time: Number.NaN },
      { ...good, time: -1 },
      { ...good, data: new Float32Array(12) },
      { ...good, data: [1, 2, 3] },
      null,
      'frame',
      { width: 2, height: 2 },
    ]) {
      await expect(collect([bad as FrameLike])).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
    }
    await expect(collect([{ ...good, width: 0, data: data(0) }])).rejects.toMatchObject(rvosError('BAD_FRAME_SIZE'));
    await expect(collect([good, { width: 4, height: 1, data: data() }])).rejects.toMatchObject(
      rvosError('BAD_FRAME_SIZE'),
    );
    await expect(
      collect([
        { ...good, time: 1 },
        { ...good, time: 1 },
      ]),
    ).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
    await expect(collect([good], 0)).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
  });
});

describe('NutDemuxer', () => {
  const ffmpeg = (...args: string[]) =>
    execFileSync('ffmpeg', ['-v', 'error', ...args, '-c:v', 'rawvideo', '-pix_fmt', 'rgb24', '-f', 'nut', '-'], {
      maxBuffer: 1 << 28,
    });
  const demux = (pieces: Iterable<Buffer>) => {
    const frames: { data: string; pts: number }[] = [];
    let timeBase = Number.NaN;
    const demuxer = new NutDemuxer({
      stream: (stream) => {
        timeBase = stream.timeBase.numerator / stream.timeBase.denominator;
      },
      allocate: (bytes) => new Uint8Array(bytes),
      frame: (data, pts) => frames.push({ data: Buffer.from(data).toString('base64'), pts }),
    });
    for (const piece of pieces) demuxer.push(piece);
    return { frames, timeBase, incomplete: demuxer.incomplete };
  };
  const nut = ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=32x18:rate=30000/1001:duration=1');

  it('gives the same frames however the bytes are cut', () => {
    const whole = demux([nut]);
    expect(whole.frames).toHaveLength(30);
    expect(whole.incomplete).toBe(false);
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 4000 }), { minLength: 1, maxLength: 40 }), (sizes) => {
        const exact: Buffer[] = [];
        for (let at = 0, i = 0; at < nut.length; i++) {
          const size = sizes[i % sizes.length]!;
          exact.push(nut.subarray(at, at + size));
          at += size;
        }
        expect(demux(exact)).toEqual(whole);
      }),
      { numRuns: 30 },
    );
    expect(demux([...nut].map((byte) => Buffer.from([byte])))).toEqual(whole);
  });

  it('follows times over long gaps and large values', () => {
    const times = [0, 1, 2, 40, 41, 4000, 4001, 90000, 90001, 500000];
    const expression = times.map((time, i) => `eq(N,${i})*${time}`).join('+');
    const bytes = ffmpeg(
      '-f',
      'lavfi',
      '-i',
      'testsrc2=size=32x18:rate=25:duration=0.4',
      '-vf',
      `settb=1/1000,setpts='${expression}+7000000'`,
      '-vsync',
      'passthrough',
      '-enc_time_base',
      '1/1000',
      '-copyts',
    );
    const { frames, timeBase } = demux([bytes]);
    const seconds = frames.map((frame) => Math.round((frame.pts - frames[0]!.pts) * timeBase * 1000));
    expect(seconds).toEqual(times);
  });

  it('refuses what is damaged, with its type and without hanging', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 700 }), fc.integer({ min: 0, max: 255 }), fc.boolean(), (at, byte, cut) => {
        const damaged = Buffer.from(cut ? nut.subarray(0, nut.length >> 1) : nut);
        damaged[at] = byte;
        try {
          demux([damaged]);
        } catch (error) {
          expect(error).toMatchObject(rvosError('FFMPEG_FAILED'));
        }
      }),
      { numRuns: 300 },
    );
    expect(() => demux([Buffer.from('RIFF....AVI LIST, and more bytes than a NUT file identifier')])).toThrow(
      'not NUT',
    );
    expect(demux([nut.subarray(0, nut.length - 2000)]).incomplete).toBe(true);
  });
});

describe('timestamp', () => {
  it('is the published format', () => {
    for (const [seconds, text] of [
      [0, '00:00:00.000'],
      [1 / 12, '00:00:00.083'],
      [62.5, '00:01:02.500'],
      [3661.0004, '01:01:01.000'],
      [59.9996, '00:00:60.000'],
      [360000, '100:00:00.000'],
    ] as const) {
      expect(timestamp(seconds)).toBe(text);
    }
  });

  it('rounds ties to even, as the original does', () => {
    expect([1 / 16, 3 / 16, 5 / 16, 59 + 15 / 16].map(timestamp)).toEqual([
      '00:00:00.062',
      '00:00:00.188',
      '00:00:00.312',
      '00:00:59.938',
    ]);
  });
});

describe('CaptureTimes', () => {
  it('fills in the times that OpenCV leaves out', () => {
    const times = new CaptureTimes(12);
    expect([0, 83.333, 166.667, 250, 0, 0].map((ms) => times.next(ms))).toEqual([
      0,
      1 / 12,
      2 / 12,
      3 / 12,
      4 / 12,
      5 / 12,
    ]);
    const variable = new CaptureTimes(10);
    expect([500, 540, 730, 0].map((ms) => variable.next(ms))).toEqual([0, 0.04, 0.23, expect.closeTo(0.33, 9)]);
  });
});

describe('opencv', () => {
  it('is named with its remedy where it is missing', async () => {
    const previous = process.env.RVOS_OPENCV;
    process.env.RVOS_OPENCV = '/nowhere';
    try {
      await expect(openVideo(import.meta.filename, { decoder: 'opencv' })).rejects.toMatchObject({
        code: 'OPENCV_MISSING',
        hint: expect.stringContaining('@u4/opencv4nodejs'),
      });
    } finally {
      if (previous === undefined) delete process.env.RVOS_OPENCV;
      else process.env.RVOS_OPENCV = previous;
    }
  });
});

describe('ffmpeg’s options', () => {
  it('follow its version', () => {
    expect(passthroughOptions('4.4.2-0ubuntu0.22.04.1')).toEqual(['-vsync', 'passthrough', '-enc_time_base', '-1']);
    expect(passthroughOptions('5.0')).toEqual(['-vsync', 'passthrough', '-enc_time_base', '-1']);
    expect(passthroughOptions('5.1.9-0+deb12u1')).toEqual(['-fps_mode', 'passthrough', '-enc_time_base', '-1']);
    for (const version of ['6.1', 'n7.1', '8', 'N-115000-gabc']) {
      expect(passthroughOptions(version)).toEqual(['-fps_mode', 'passthrough', '-enc_time_base', 'demux']);
    }
  });
});
