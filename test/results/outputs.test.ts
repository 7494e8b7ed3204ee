import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { decodeMaskPng } from '../../src/masks/png.js';
import { decodeRle } from '../../src/masks/rle.js';
import { drainInto, type SinkOpener } from '../../src/results/frame-sink.js';
import { MaskSpool } from '../../src/results/mask-spool.js';
import { contactSheetOutput, cutOutsOutput, maskedVideoOutput, masksOutput } from '../../src/results/outputs.js';
import { SegmentResult } from '../../src/results/segment-result.js';
import { Segmenter } from '../../src/segmenter.js';
import { KeptDownload } from '../../src/video/download.js';
import { FakeBackend, fakeModel, syntheticFrames } from '../support/fake-backend.js';
import { goldenPath } from '../support/safetensors.js';
import { ffprobeJson } from '../support/videos.js';

const clip = goldenPath('e2e/clip_rgb_lossless.mp4');
const sentences = ['a red ball', 'the white car'];
let folder: string;
let temporary: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-outputs-'));
  temporary = join(folder, 'tmp');
  await mkdir(temporary);
  vi.stubEnv('TMPDIR', temporary);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function segmenter(backend = new FakeBackend()): Promise<Segmenter> {
  return Segmenter.around(await fakeModel(), backend);
}

const visible = async () => (await readdir(folder)).filter((name) => name !== 'tmp').sort();

describe('outputs of one pass', () => {
  it('are all written at once and agree with one another', async () => {
    const at = (name: string) => join(folder, name);
    const stream = (await segmenter()).stream(clip, sentences);
    await drainInto(stream, [
      maskedVideoOutput(at('out.mp4')),
      masksOutput(at('masks.json')),
      masksOutput(at('masks')),
      contactSheetOutput(at('sheet.png')),
      cutOutsOutput(1, at('cut')),
      cutOutsOutput(0, at('cut.webm')),
    ]);
    expect(await visible()).toEqual(['cut', 'cut.webm', 'masks', 'masks.json', 'out.mp4', 'sheet.png']);
    expect(await readdir(temporary)).toEqual([]);

    const json = JSON.parse(await readFile(at('masks.json'), 'utf8'));
    expect(json.video).toEqual({ width: 96, height: 64, frame_rate: 12, frames: 40, sample_aspect_ratio: '1:1' });
    expect(json.queries.map(({ text }: { text: string }) => text)).toEqual(sentences);
    expect(json.queries[1]).toEqual({
      text: 'the white car',
      score: 0.5,
      windows: [
        { start: 0, end: 24, object_query: 1, score: 0.5 },
        { start: 18, end: 40, object_query: 1, score: 0.5 },
        { start: 36, end: 40, object_query: 1, score: 0.5 },
      ],
    });
    expect(json.timestamps).toHaveLength(40);
    expect(json.timestamps[39]).toBe('00:00:03.250');
    for (const query of sentences.keys()) {
      expect(json.masks[query]).toHaveLength(40);
      expect(json.boxes[query]).toHaveLength(40);
      expect((await readdir(at(`masks/${query}`))).length).toBe(40);
      for (const index of [0, 17, 18, 39]) {
        const window = index < 18 ? 0 : index < 36 ? 1 : 2;
        const mask = decodeRle(json.masks[query][index]);
        expect([mask.bits[0], mask.bits[1]]).toEqual([window, query + 1]);
        const png = await readFile(at(`masks/${query}/${String(index).padStart(5, '0')}.png`));
        expect(await decodeMaskPng(png)).toEqual(mask);
      }
    }
    // Sentence 0 in window 0: bit 15 alone, pixel (0, 15).
    expect(json.boxes[0][0]).toEqual([15, 0, 1, 1]);

    const cut = sharp(await readFile(at('cut/00000.png')));
    expect(await cut.metadata()).toMatchObject({ width: 96, height: 64, channels: 4 });
    const { data } = await cut.raw().toBuffer({ resolveWithObject: true });
    expect(data[14 * 4 + 3]).toBe(255); // sentence 1: pixel (0, 14)
    expect(data[15 * 4 + 3]).toBe(0);
    const { streams } = await ffprobeJson(at('out.mp4'), '-show_streams', '-count_frames');
    expect(streams![0]).toMatchObject({ codec_name: 'h264', pix_fmt: 'yuv420p', width: 96, nb_read_frames: '40' });
    expect((await sharp(at('sheet.png')).metadata()).format).toBe('png');
  });

  it('leave nothing behind when the run fails, and the error is told', async () => {
    const before = async (window: number) => {
      if (window === 1) throw new Error('window 1 failed');
    };
    const stream = (await segmenter(new FakeBackend({ before }))).stream(clip, sentences);
    const openers = [
      maskedVideoOutput(join(folder, 'out.mp4')),
      masksOutput(join(folder, 'masks.json')),
      masksOutput(join(folder, 'masks')),
      contactSheetOutput(join(folder, 'sheet.png')),
    ];
    await expect(drainInto(stream, openers)).rejects.toThrow('window 1 failed');
    expect(await visible()).toEqual([]);
    expect(await readdir(temporary)).toEqual([]);
  });

  it('that exist are refused before anything is computed, and replaced with force', async () => {
    const backend = new FakeBackend();
    const path = join(folder, 'masks.json');
    await writeFile(path, 'mine');
    const run = async (opener: SinkOpener) => drainInto((await segmenter(backend)).stream(clip, sentences), [opener]);
    await expect(run(masksOutput(path))).rejects.toThrow(expect.objectContaining({ code: 'OUTPUT_EXISTS' }));
    expect(backend.windows).toEqual([]);
    expect(await readFile(path, 'utf8')).toBe('mine');
    await run(masksOutput(path, { force: true }));
    expect(JSON.parse(await readFile(path, 'utf8')).video.frames).toBe(40);
  });

  it('are aborted together', async () => {
    const controller = new AbortController();
    const before = async (window: number, signal: AbortSignal | undefined) => {
      if (window === 0) return;
      controller.abort();
      signal?.throwIfAborted();
    };
    const options = { signal: controller.signal };
    const stream = (await segmenter(new FakeBackend({ before }))).stream(clip, sentences, options);
    const openers = [maskedVideoOutput(join(folder, 'out.mp4')), masksOutput(join(folder, 'masks'))];
    await expect(drainInto(stream, openers)).rejects.toThrow(expect.objectContaining({ code: 'ABORTED' }));
    expect(await visible()).toEqual([]);
  });
});

describe('a result', () => {
  it('writes afterwards what one pass writes at once, and removes its temporary files', async () => {
    const at = (name: string) => join(folder, name);
    const once = await segmenter();
    const openers = [masksOutput(at('once.json')), masksOutput(at('once')), maskedVideoOutput(at('once.mp4'))];
    await drainInto(once.stream(clip, sentences), openers);
    {
      await using result = await (await segmenter()).segment(clip, sentences);
      expect(await readdir(temporary)).toHaveLength(1);
      await result.saveMasks(at('later.json'));
      await result.saveMasks(at('later'));
      await result.saveMaskedVideo(at('later.mp4'));
      await result.saveContactSheet(at('later.png'));
      await result.saveCutOuts(0, at('cut'));
      await expect(result.saveCutOuts(2, at('none'))).rejects.toThrow(
        expect.objectContaining({ code: 'BAD_ARGUMENT' }),
      );
      const windows: number[] = [];
      for await (const { window, index, frame } of result.frames()) {
        windows[index] = window;
        expect(frame.width).toBe(96);
      }
      expect(windows).toEqual([...Array(18).fill(0), ...Array(18).fill(1), ...Array(4).fill(2)]);
      const boxes = [];
      for await (const box of result.boxes(0)) boxes.push(box);
      expect(boxes).toHaveLength(40);
      const masks = [];
      for await (const mask of result.masks(1)) masks.push(mask);
      for (const frame of [0, 20, 39]) expect(await result.mask(1, frame)).toEqual(masks[frame]);
      await expect(result.mask(1, 40)).rejects.toMatchObject({ code: 'BAD_ARGUMENT', argument: 'frame' });
      expect(JSON.parse(JSON.stringify(result))).toEqual({
        ...{ video: result.video, queries: result.queries, times: result.times, warnings: [] },
      });
    }
    expect(await readdir(temporary)).toEqual([]);
    expect(JSON.parse(await readFile(at('later.json'), 'utf8'))).toEqual(
      JSON.parse(await readFile(at('once.json'), 'utf8')),
    );
    for (const name of await readdir(at('once/1'))) {
      expect(await readFile(at(`later/1/${name}`))).toEqual(await readFile(at(`once/1/${name}`)));
    }
    expect(await readFile(at('later.mp4'))).toEqual(await readFile(at('once.mp4')));
  });

  it("outlives its run's signal; each output takes its own", async () => {
    const controller = new AbortController();
    await using result = await (await segmenter()).segment(clip, sentences, { signal: controller.signal });
    controller.abort();
    await result.saveMaskedVideo(join(folder, 'after.mp4'));
    const signal = AbortSignal.abort();
    for (const save of [
      () => result.saveMaskedVideo(join(folder, 'no.mp4'), { signal }),
      () => result.saveMasks(join(folder, 'no.json'), { signal }),
      () => result.saveMasks(join(folder, 'no'), { signal }),
      () => result.saveContactSheet(join(folder, 'no.png'), { signal }),
      () => result.saveCutOuts(0, join(folder, 'no.webm'), { signal }),
    ]) {
      await expect(save()).rejects.toMatchObject({ name: 'AbortError', code: 'ABORTED' });
    }
    expect(await visible()).toEqual(['after.mp4']);
  });

  it('says for each method that it was disposed', async () => {
    const result = await (await segmenter()).segment(clip, sentences);
    await result.dispose();
    await result.dispose();
    const disposed = expect.objectContaining({ code: 'DISPOSED' });
    for (const call of [
      () => result.saveMaskedVideo(join(folder, 'no.mp4')),
      () => result.saveMasks(join(folder, 'no.json')),
      () => result.saveContactSheet(join(folder, 'no.png')),
      () => result.saveCutOuts(0, join(folder, 'no')),
      () => result.mask(0, 0),
      () => result.masks(0).next(),
      () => result.boxes(0).next(),
      () => result.frames().next(),
    ]) {
      await expect(call()).rejects.toEqual(disposed);
    }
    expect(result.queries).toHaveLength(2);
    expect(await visible()).toEqual([]);
  });

  it('of a URL is downloaded once for all outputs, and the file goes with the result', async () => {
    let requests = 0;
    const server = createServer(async (_, response) => {
      requests++;
      response.end(await readFile(clip));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    {
      const options = { allowPrivateUrls: true, urlProxy: false };
      await using result = await (await segmenter()).segment(`http://127.0.0.1:${port}/clip.mp4`, ['a ball'], options);
      await result.saveMaskedVideo(join(folder, 'url.mp4'));
      await result.saveContactSheet(join(folder, 'url.png'));
    }
    server.close();
    expect(requests).toBe(1);
    expect(await readdir(temporary)).toEqual([]);
  });

  it('of standard input says that it cannot be read again', async () => {
    const stream = (await segmenter()).segmentFrames(syntheticFrames(3), ['a ball']);
    await using result = await SegmentResult.collect(stream, { video: '-', download: new KeptDownload() }, {});
    await expect(result.saveMaskedVideo(join(folder, 'x.mp4'))).rejects.toThrow('second time');
  });
});

describe('the spool of masks', () => {
  it('gives back what was put in, sentence by sentence and frame by frame', async () => {
    await using spool = await MaskSpool.create(3, { width: 13, height: 7 });
    const masks = Array.from({ length: 200 }, (_, t) =>
      [0, 1, 2].map((query) => ({
        width: 13,
        height: 7,
        bits: new Uint8Array(12).map((_, i) => (i === 11 ? 0 : (t * 31 + query * 7 + i * 5) & 255)),
      })),
    );
    for (const frame of masks) await spool.append(frame);
    expect(spool.frames).toBe(200);
    const second = [];
    for await (const mask of spool.masks(1)) second.push(mask);
    expect(second).toEqual(masks.map((frame) => frame[1]));
    let t = 0;
    for await (const frame of spool.frameMasks()) expect(frame).toEqual(masks[t++]);
    expect(t).toBe(200);
  });

  it('says so when there is no place for it', async () => {
    vi.stubEnv('TMPDIR', join(folder, 'absent'));
    await expect(MaskSpool.create(1, { width: 1, height: 1 })).rejects.toThrow(
      expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE' }),
    );
  });
});
