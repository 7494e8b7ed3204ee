import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { RgbFrame } from '../../src/video/frame.js';
import { beep, flash } from '../support/beep-and-flash.js';
import { rewriteVideo } from '../support/rewrite-video.js';
import { ffmpeg, ffprobeJson, readAll, rvosError, videoFolder } from '../support/videos.js';

const field = (name: string) => join(import.meta.dirname, '../field-cases', name);
const testPicture = (size: string, seconds: number, rate = 12) => [
  ...['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=${rate}:duration=${seconds}`],
];
let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);
beforeAll(async () => {
  folder = await videoFolder();
});
afterAll(() => folder.remove());

const times = async (name: string, options = {}) => (await readAll(name, options)).frames.map(({ time }) => time);
const seconds = async (path: string) => Number((await ffprobeJson(path, '-show_streams')).streams![0]!.duration);

describe('a picture that changes its format midway', () => {
  it('is trimmed by its times', async () => {
    const { frames, info } = await readAll(field('trim-size-change.mpegts'), { start: 1 });
    expect(frames.map(({ time }) => time - frames[0]!.time)).toEqual(
      Array.from({ length: 36 }, (_, i) => expect.closeTo(i / 12, 4)),
    );
    expect(frames.every(({ data }) => data.length === info.width * info.height * 3)).toBe(true);
  });

  it('keeps the size of its first picture, in every part', async () => {
    await ffmpeg(...testPicture('96x64', 1, 25), '-c:v', 'mpeg2video', at('a.ts'));
    await ffmpeg(...testPicture('64x96', 1, 25), '-c:v', 'mpeg2video', '-output_ts_offset', '1', at('b.ts'));
    await ffmpeg('-i', `concat:${at('a.ts')}|${at('b.ts')}`, '-c', 'copy', at('ab.ts'));
    const whole = await readAll(at('ab.ts'));
    // ffmpeg's decoder itself gives one picture less than there are packets at such a change.
    expect([whole.info.width, whole.info.height, whole.frames.length]).toEqual([96, 64, 49]);
    for (const [start, end] of [
      [0.48, 1.48],
      [1.24, 9],
      [0, 0.48],
    ] as const) {
      const part = await readAll(at('ab.ts'), { start, end });
      const wanted = whole.frames.filter(({ time }) => time > start - 0.001 && time < end - 0.001);
      expect([part.info.width, part.info.height]).toEqual([96, 64]);
      expect(part.frames.map(({ time }) => time)).toEqual(wanted.map(({ time }) => time));
      expect(part.frames.every(({ data }, i) => Buffer.compare(data, wanted[i]!.data) === 0)).toBe(true);
    }
  });
});

describe('times that go back', () => {
  it('go on from the frame before', async () => {
    const name = field('time-goes-back.flv');
    const { frames, warnings } = await readAll(name);
    expect(frames.map(({ time }) => time)).toEqual(Array.from({ length: 48 }, (_, i) => expect.closeTo(i / 12, 2)));
    expect(warnings).toEqual([expect.stringMatching(/go back after 2\.00 s/)]);
    expect((await readAll(name, { end: 1.95 })).frames).toHaveLength(24);
    expect((await readAll(name, { start: 1.99 })).frames).toHaveLength(24);
    await rewriteVideo(name, at('joined.mp4'));
    expect(await seconds(at('joined.mp4'))).toBeCloseTo(4, 0);
  });

  it('of a Matroska file do so too', async () => {
    await ffmpeg(
      ...testPicture('64x48', 1),
      '-bsf:v',
      'setts=ts=if(gte(N\\,6)\\,PTS-6000\\,PTS)',
      '-bf',
      '0',
      at('back.mkv'),
    );
    const shown = (await ffprobeJson(at('back.mkv'), '-show_packets')).packets!.map(({ pts_time }) => Number(pts_time));
    // Only where this muxer kept them.
    const went = shown.some((time, i) => i > 0 && time < shown[i - 1]!);
    const { frames, warnings } = await readAll(at('back.mkv'));
    expect(frames).toHaveLength(12);
    for (const [i, { time }] of frames.entries()) if (i > 0) expect(time).toBeGreaterThan(frames[i - 1]!.time);
    expect(warnings).toHaveLength(went ? 1 : 0);
  });
});

describe('the first picture', () => {
  it.each(['ts', 'mkv', 'mp4', 'flv'])(
    'that is later than the stream keeps the sound in step: %s',
    async (container) => {
      const name = container === 'ts' ? field('first-gop-missing.mpegts') : at(`late.${container}`);
      if (container !== 'ts')
        await ffmpeg('-i', field('first-gop-missing.mpegts'), '-map', '0', '-c', 'copy', '-copyinkf', name);
      for (const [trim, codec] of [
        [{}, 'copied'],
        [{ start: 0.2 }, 'encoded'],
      ] as const) {
        await rewriteVideo(name, at('in-step.mp4'), trim, { force: true });
        const seen = await flash(at('in-step.mp4'));
        expect(Math.abs((await beep(at('in-step.mp4'))) - seen), `${container}, ${codec}`).toBeLessThan(0.03);
      }
    },
  );
});

describe('durations of frames', () => {
  it('are carried: the last picture of a recording', async () => {
    const { frames, warnings } = await readAll(field('last-frame-hold.mp4'));
    expect(frames.at(-1)!.duration).toBeCloseTo(6.083, 2);
    expect(warnings).toEqual([]);
    await rewriteVideo(field('last-frame-hold.mp4'), at('hold.mp4'));
    expect(await seconds(at('hold.mp4'))).toBeCloseTo(8, 2);
  });

  it('of a GIF and of a trimmed part', async () => {
    await ffmpeg(...testPicture('64x48', 0.5, 10), '-final_delay', '300', at('slow.gif'));
    const { frames } = await readAll(at('slow.gif'));
    expect(frames.at(-1)!.duration).toBeCloseTo(3, 2);
    expect((await readAll(at('slow.gif'), { end: 1.4 })).frames.at(-1)!.duration).toBeCloseTo(1, 2);
    await rewriteVideo(at('slow.gif'), at('slow.mp4'));
    expect(await seconds(at('slow.mp4'))).toBeCloseTo(3.4, 2);
  });

  it('count from zero in a Matroska file that starts at an hour', async () => {
    await ffmpeg(...testPicture('64x48', 2), '-output_ts_offset', '3600', at('hour.mkv'));
    const { info, warnings, frames } = await readAll(at('hour.mkv'));
    expect(info.duration).toBeCloseTo(2, 1);
    expect(frames.at(-1)!.duration).toBeCloseTo(1 / 12, 2);
    expect(warnings).toEqual([]);
  });

  it('of a raw stream: half a tick is no difference', async () => {
    await ffmpeg(...testPicture('64x48', 2, 30), '-c:v', 'libx264', '-f', 'h264', at('raw.h264'));
    const all = await times(at('raw.h264'));
    const part = await times(at('raw.h264'), { start: 1 });
    expect(part).toHaveLength(all.filter((time) => time > 0.999).length);
    expect(part[0]).toBeCloseTo(1, 3);
  });
});

describe('pixels that are not square', () => {
  it('are stored as they are, and say so', async () => {
    const { info } = await readAll(field('anamorphic-64x45.mp4'));
    expect([info.width, info.height, info.sampleAspect]).toEqual([338, 320, { numerator: 64, denominator: 45 }]);
    await rewriteVideo(field('anamorphic-64x45.mp4'), at('wide.mp4'));
    const [stream] = (await ffprobeJson(at('wide.mp4'), '-show_streams')).streams!;
    expect(stream!.sample_aspect_ratio).toBe('64:45');
  });

  it('stand on their side after a quarter turn', async () => {
    await ffmpeg(...testPicture('64x48', 1), '-vf', 'setsar=4/3', at('lying.mp4'));
    await ffmpeg('-i', at('lying.mp4'), '-c', 'copy', '-metadata:s:v', 'rotate=90', at('turned.mp4'));
    const { info } = await readAll(at('turned.mp4'));
    expect([info.width, info.height, info.sampleAspect]).toEqual([48, 64, { numerator: 3, denominator: 4 }]);
  });
});

describe('colours', () => {
  it('of HDR are brought to SDR: as the clip was from which it was made', async () => {
    const { frames, warnings } = await readAll(field('hdr-pq.mp4'), { end: 0.05 });
    const [hdr] = frames;
    const [sdr] = (await readAll(join(import.meta.dirname, '../../examples/demo.mp4'), { end: 0.05 })).frames;
    expect(warnings).toEqual([]);
    const mean = ({ data }: RgbFrame, where: (red: number, green: number, blue: number) => boolean) => {
      const sums = [0, 0, 0, 0];
      for (let i = 0; i < data.length; i += 3) {
        if (!where(sdr!.data[i]!, sdr!.data[i + 1]!, sdr!.data[i + 2]!)) continue;
        for (let c = 0; c < 3; c++) sums[c]! += data[i + c]!;
        sums[3]!++;
      }
      return sums.slice(0, 3).map((sum) => sum / sums[3]!);
    };
    for (const where of [
      (red: number, green: number) => red > 170 && green < 50,
      (red: number, _: number, blue: number) => blue > 170 && red < 70,
      (red: number, green: number, blue: number) => Math.max(red, green, blue) - Math.min(red, green, blue) < 30,
    ]) {
      const wanted = mean(sdr!, where);
      for (const [c, value] of mean(hdr!, where).entries()) expect(Math.abs(value - wanted[c]!)).toBeLessThan(5);
    }
  });

  it('of a matrix that ffmpeg does not know are told', async () => {
    await ffmpeg(...testPicture('64x48', 0.5), '-c:v', 'libx264', '-x264-params', 'colormatrix=YCgCo', at('ycgco.mp4'));
    expect((await readAll(at('ycgco.mp4'))).warnings).toEqual([
      expect.stringMatching(/ffmpeg says .*colours may be wrong/),
    ]);
  });
});

describe('streams', () => {
  it('the default one decides, others by number', async () => {
    const name = field('default-video-second.mp4');
    const { info, frames } = await readAll(name);
    expect([info.width, info.height, frames.length]).toEqual([240, 160, 48]);
    expect((await readAll(name, { videoStream: 0 })).frames).toHaveLength(5);
    await expect(readAll(name, { videoStream: 7 })).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
    await expect(readAll(name, { audioStream: 0 })).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
  });

  it('a cover is no video; sound is of the same program', async () => {
    await ffmpeg(...testPicture('32x32', 0.1), '-frames:v', '1', at('cover.png'));
    await ffmpeg(...testPicture('64x48', 1), at('plain.mp4'));
    const cover = ['-map', '1', '-map', '0', '-c', 'copy', '-disposition:v:0', 'attached_pic', '-disposition:v:1', '0'];
    await ffmpeg('-i', at('plain.mp4'), '-i', at('cover.png'), ...cover, at('covered.mp4'));
    expect((await readAll(at('covered.mp4'))).info).toMatchObject({ width: 64, height: 48 });
    const tone = ['-f', 'lavfi', '-i', 'sine=duration=1'];
    const programs = ['-map', '1', '-map', '0', '-map', '1', '-program', 'st=0', '-program', 'st=1:st=2'];
    await ffmpeg(...testPicture('64x48', 1), ...tone, ...programs, at('programs.ts'));
    const { info } = await readAll(at('programs.ts'));
    expect(info.sound!.streams.map(({ index }) => index)).toEqual([2]);
    await ffmpeg(
      ...testPicture('64x48', 1),
      ...tone,
      '-map',
      '1',
      '-map',
      '0',
      '-program',
      'st=0',
      '-program',
      'st=1',
      at('mute.ts'),
    );
    expect((await readAll(at('mute.ts'))).info.hasAudio).toBe(false);
  });

  it('that are encrypted say so', async () => {
    const key = ['-encryption_scheme', 'cenc-aes-ctr', '-encryption_key', '76a6c65c5ea762046bd749a2e632ccbb'];
    await ffmpeg(
      ...testPicture('64x48', 1),
      ...key,
      '-encryption_kid',
      'a7e61c373e219033c21091fa607bf3b8',
      at('locked.mp4'),
    );
    await expect(readAll(at('locked.mp4'))).rejects.toThrow(/encrypted/);
  });

  it('that are interlaced are told once, and woven on request', async () => {
    await ffmpeg(
      ...testPicture('64x48', 1, 25),
      '-c:v',
      'mpeg2video',
      '-flags',
      '+ildct+ilme',
      '-top',
      '1',
      '-vf',
      'setfield=tff',
      at('fields.mpg'),
    );
    const told = await readAll(at('fields.mpg'));
    expect(told.warnings).toEqual([expect.stringMatching(/interlaced.*--deinterlace/)]);
    const woven = await readAll(at('fields.mpg'), { deinterlace: true });
    expect(woven.warnings).toEqual([]);
    expect(woven.frames).toHaveLength(told.frames.length);
    expect(Buffer.compare(woven.frames[3]!.data, told.frames[3]!.data)).not.toBe(0);
  });
});

describe('complaints of the decoder', () => {
  it('about what is no picture are no damage', async () => {
    const { frames, warnings } = await readAll(field('mjpeg-bad-app.avi'));
    expect([frames.length, warnings]).toEqual([12, []]);
  });

  it('about pictures that were made up are', async () => {
    await ffmpeg(...testPicture('320x240', 2, 25), '-c:v', 'mpeg4', '-q:v', '2', at('whole.avi'));
    const bytes = await readFile(at('whole.avi'));
    for (let i = 30000; i < bytes.length - 20000; i += 5000) bytes.fill(0xff, i, i + 40);
    await writeFile(at('broken.avi'), bytes);
    expect((await readAll(at('broken.avi'))).warnings).toEqual([expect.stringMatching(/damaged or cut off/)]);
  });
});

describe('sound without a decoder', () => {
  it.each(['sound-without-decoder.mp4', 'unknown-sound-first.mp4'])('costs no picture: %s', async (name) => {
    const warnings: string[] = [];
    await rewriteVideo(field(name), at('sounding.mp4'), {}, { force: true }, warnings);
    const { streams } = await ffprobeJson(at('sounding.mp4'), '-show_streams');
    expect(streams!.map(({ codec_name }) => codec_name)).toEqual(['h264', 'aac']);
    expect(warnings).toEqual([expect.stringMatching(/stream 1 .*cannot be taken along.*stream 2 is taken/)]);
  });

  it('or in a layout that AAC cannot take is mixed down', async () => {
    await ffmpeg(
      ...testPicture('64x48', 1),
      '-f',
      'lavfi',
      '-i',
      'aevalsrc=0.1|0.2|0.3|0.1|0.2|0.3|0.1|0.2|0.3:d=1',
      '-c:a',
      'pcm_s16le',
      at('nine.mov'),
    );
    const warnings: string[] = [];
    await rewriteVideo(at('nine.mov'), at('two.mp4'), {}, {}, warnings);
    const { streams } = await ffprobeJson(at('two.mp4'), '-show_streams');
    expect(streams!.map(({ codec_name, channels }) => [codec_name, channels])).toEqual([
      ['h264', undefined],
      ['aac', 2],
    ]);
    expect(warnings).toEqual([expect.stringMatching(/9 channels.*mixed down/)]);
  });
});
