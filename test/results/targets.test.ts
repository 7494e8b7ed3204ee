import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { SegmentResult } from '../../src/results/segment-result.js';
import { Segmenter } from '../../src/segmenter.js';
import { chooseCodec } from '../../src/video/video-codec.js';
import { FakeBackend, fakeModel } from '../support/fake-backend.js';
import { goldenPath } from '../support/safetensors.js';
import { ffprobeJson, rawFrames } from '../support/videos.js';

/* Outputs of a result as paths, streams and bytes, and how a masked video looks. */

const clip = goldenPath('e2e/clip_rgb_lossless.mp4');
const sentences = ['a red ball', 'the white car'];
let folder: string;
let temporary: string;
let result: SegmentResult;
const at = (name: string) => join(folder, name);

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-targets-'));
  temporary = at('tmp');
  await mkdir(temporary);
  vi.stubEnv('TMPDIR', temporary);
  result = await Segmenter.around(await fakeModel(), new FakeBackend()).segment(clip, sentences);
});
afterEach(async () => {
  await result.dispose();
  expect(await readdir(temporary)).toEqual([]);
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

describe('bytes and streams', () => {
  it('are what the files hold', async () => {
    await result.saveMasks(at('masks.json'));
    await result.saveContactSheet(at('sheet.png'));
    expect(Buffer.from(await result.masksBytes())).toEqual(await readFile(at('masks.json')));
    expect(Buffer.from(await result.contactSheetBytes())).toEqual(await readFile(at('sheet.png')));

    const stream = new PassThrough();
    const [received] = await Promise.all([buffer(stream), result.saveMasks(stream)]);
    expect(received).toEqual(await readFile(at('masks.json')));

    await writeFile(at('bytes.mp4'), await result.maskedVideoBytes());
    await writeFile(at('bytes.webm'), await result.cutOutsBytes(1));
    for (const name of ['bytes.mp4', 'bytes.webm']) {
      const { streams } = await ffprobeJson(at(name), '-show_streams', '-count_frames', '-select_streams', 'v');
      expect(streams![0]).toMatchObject({ nb_read_frames: '40', width: 96 });
    }
  });

  it('a masked video goes into an HTTP response', async () => {
    const server = createServer((_, response) => {
      response.setHeader('content-type', 'video/mp4');
      result.saveMaskedVideo(response, { captions: false }).catch((error) => response.destroy(error));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      const { port } = server.address() as AddressInfo;
      const answer = await fetch(`http://127.0.0.1:${port}/`);
      await writeFile(at('answer.mp4'), new Uint8Array(await answer.arrayBuffer()));
      const { streams } = await ffprobeJson(at('answer.mp4'), '-show_streams', '-select_streams', 'v');
      expect(streams![0]).toMatchObject({ codec_name: 'h264', width: 96, height: 64 });
    } finally {
      server.close();
    }
  });

  it('a reader that goes away is an error, and nothing is left', async () => {
    const gone = new Writable({
      write(_chunk, _encoding, done) {
        done(new Error('the reader went away'));
      },
    });
    await expect(result.saveMasks(gone)).rejects.toThrow('the reader went away');
  });

  it('an abort ends each output for itself, before anything is sent', async () => {
    const controller = new AbortController();
    const sent: unknown[] = [];
    const sink = new Writable({
      write(chunk, _encoding, done) {
        sent.push(chunk);
        done();
      },
    });
    const onProgress = ({ frames }: { frames: number }) => {
      if (frames === 5) controller.abort();
    };
    const saving = result.saveMaskedVideo(sink, { signal: controller.signal, onProgress });
    await expect(saving).rejects.toMatchObject({ name: 'AbortError', code: 'ABORTED' });
    expect(sent).toEqual([]);
    expect((await result.masksBytes()).length).toBeGreaterThan(100);
  });

  it.each(['saveMaskedVideo', 'saveContactSheet', 'saveMasks'] as const)('%s tells how far it is', async (save) => {
    const told: number[] = [];
    const onProgress = ({ frames, totalFrames }: { frames: number; totalFrames: number }) => {
      expect(totalFrames).toBe(40);
      told.push(frames);
    };
    await result[save](at(save === 'saveMaskedVideo' ? 'o.mp4' : save === 'saveContactSheet' ? 'o.png' : 'o'), {
      onProgress,
    });
    expect(told).toEqual(Array.from({ length: 40 }, (_, i) => i + 1));
  });

  it.each<[string, () => Promise<unknown>, RegExp]>([
    ['a number', () => result.saveMasks(7 as never), /^target is .*, where a path or a Writable is expected/],
    ['an unknown option', () => result.saveMasks(at('x'), { forc: true } as never), /forc.*unknown/],
    ['a style of a contact sheet', () => result.saveContactSheet(at('x.png'), { opacity: 1 } as never), /opacity/],
    ['an opacity of 2', () => result.saveMaskedVideo(at('x.mp4'), { opacity: 2 }), /opacity .* is 2/],
    ['a codec', () => result.saveMaskedVideo(at('x.mp4'), { codec: 'vp8' as never }), /codec .* is "vp8"/],
    ['a colour', () => result.saveMaskedVideo(at('x.mp4'), { colors: [[1, 2, 300]] }), /colors .* is/],
  ])('%s is refused before anything is done', async (_, call, message) => {
    await expect(call()).rejects.toMatchObject({ code: 'BAD_ARGUMENT', message: expect.stringMatching(message) });
    expect((await readdir(folder)).filter((name) => name !== 'tmp')).toEqual([]);
  });
});

describe('a masked video', () => {
  it('has captions or none, the colours, opacity and quality that are asked for', async () => {
    const red = [255, 0, 0] as const;
    await result.saveMaskedVideo(at('plain.mp4'), { captions: false, opacity: 0, quality: 100 });
    await result.saveMaskedVideo(at('captions.mp4'), { colors: [red, red], opacity: 1, quality: 100 });
    await result.saveMaskedVideo(at('small.mp4'), { captions: false, quality: 10 });
    const sizes = await Promise.all(
      ['plain', 'captions'].map((name) => ffprobeJson(at(`${name}.mp4`), '-show_streams')),
    );
    expect(sizes.map(({ streams }) => streams!.find((stream) => stream.width !== undefined)!.height)).toEqual([
      64,
      expect.any(Number),
    ]);
    // Invisible masks leave the frames as they are.
    const [plain] = rawFrames(at('plain.mp4'), 96, 64);
    const [source] = rawFrames(clip, 96, 64);
    // Colours have half the resolution, so that single pixels at edges differ.
    const mean = plain!.reduce((sum, value, i) => sum + Math.abs(value - source![i]!), 0) / plain!.length;
    expect(mean).toBeLessThan(6);
    const bytes = async (name: string) => (await readFile(at(name))).length;
    expect(await bytes('small.mp4')).toBeLessThan((await bytes('plain.mp4')) / 2);
    // The mask of the first sentence is one pixel, (15, 0), below the captions: red, as its caption is.
    const height = sizes[1]!.streams!.find((stream) => stream.width !== undefined)!.height as number;
    const [painted] = rawFrames(at('captions.mp4'), 96, height);
    const picture = await sharp(painted!, { raw: { width: 96, height, channels: 3 } })
      .toColourspace('srgb')
      .raw()
      .toBuffer();
    const reds = Array.from({ length: 96 * (height - 64) }, (_, i) => picture.subarray(3 * i, 3 * i + 3)).filter(
      ([r, g, b]) => r! > 120 && g! < 90 && b! < 90,
    );
    expect(reds.length).toBeGreaterThan(20);
  });

  it('is encoded by what this ffmpeg has, or says what it lacks', () => {
    expect(chooseCodec(new Set(['libx264'])).options).toEqual(expect.arrayContaining(['libx264', '18']));
    expect(chooseCodec(new Set(['libx265']), 'hevc', 100).options).toEqual(expect.arrayContaining(['libx265', '0']));
    expect(chooseCodec(new Set(['libsvtav1']), 'av1', 0).options).toEqual(expect.arrayContaining(['libsvtav1', '63']));
    expect(chooseCodec(new Set(['mpeg4'])).warnings).toHaveLength(1);
    expect(() => chooseCodec(new Set(['libx264']), 'hevc')).toThrow(/no encoder for hevc/);
    expect(() => chooseCodec(new Set())).toThrow(/neither H\.264 nor MPEG-4/);
  });

  it.each([
    ['hevc', 'hvc1'],
    ['av1', 'av01'],
  ] as const)('in %s has all pictures', async (codec, tag) => {
    await result.saveMaskedVideo(at('other.mp4'), { codec });
    const { streams } = await ffprobeJson(at('other.mp4'), '-show_streams', '-count_frames', '-select_streams', 'v');
    expect(streams![0]).toMatchObject({ codec_name: codec, codec_tag_string: tag, nb_read_frames: '40' });
  });
});
