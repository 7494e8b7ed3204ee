import { createReadStream, openAsBlob } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { Segmenter } from '../../src/segmenter.js';
import { openVideo } from '../../src/video/open-video.js';
import type { VideoInput } from '../../src/video/video-input.js';
import { FakeBackend, fakeModel } from '../support/fake-backend.js';
import { goldenPath } from '../support/safetensors.js';
import { rvosError, videoFolder } from '../support/videos.js';

const clip = goldenPath('e2e/clip_rgb_lossless.mp4');
let folder: Awaited<ReturnType<typeof videoFolder>>;
beforeAll(async () => {
  folder = await videoFolder();
});
afterAll(() => folder.remove());
beforeEach(() => {
  vi.stubEnv('TMPDIR', folder.path);
});
afterEach(() => vi.unstubAllEnvs());
const temporary = () => readdir(folder.path);

async function frames(video: VideoInput, signal?: AbortSignal): Promise<number> {
  await using reader = await openVideo(video, { ...(signal && { signal }) });
  let count = 0;
  for await (const _ of reader.frames()) count++;
  return count;
}

const bytes = await readFile(clip);
const inputs: [string, () => VideoInput | Promise<VideoInput>][] = [
  ['a file: URL', () => pathToFileURL(clip)],
  ['a Buffer', () => bytes],
  [
    'a typed array into a larger buffer',
    () => new Uint16Array(Uint8Array.from([0, 0, ...bytes, ...(bytes.length % 2 ? [0] : [])]).buffer, 2),
  ],
  ['an ArrayBuffer', () => Uint8Array.from(bytes).buffer],
  ['a Blob', () => openAsBlob(clip)],
  ['a File', () => new File([Uint8Array.from(bytes)], 'holiday.mp4')],
  ['a Readable', () => createReadStream(clip)],
  ['a web stream', async () => (await openAsBlob(clip)).stream() as AsyncIterable<Uint8Array>],
  [
    'an async iterable of bytes',
    async function* () {
      for (let at = 0; at < bytes.length; at += 1000) yield bytes.subarray(at, at + 1000);
    },
  ],
];

describe('a video', () => {
  it.each(inputs)('may be %s', async (_, make) => {
    expect(await frames(await make())).toBe(40);
    expect(await temporary()).toEqual([]);
  });

  it('that comes as a stream serves all outputs of a result, and goes with it', async () => {
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    {
      await using result = await segmenter.segment(createReadStream(clip), 'a ball');
      let count = 0;
      for await (const _ of result.frames()) count++;
      for await (const _ of result.frames()) count++;
      expect(count).toBe(80);
      expect(result.video.source).toBe('video bytes');
    }
    const file = new File([Uint8Array.from(bytes)], '../holiday.mp4');
    await using named = await segmenter.segment(file, 'a ball');
    expect(named.video.source).toBe('holiday.mp4');
    await named.dispose();
    expect(await temporary()).toEqual([]);
  });

  it('is none of these', async () => {
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    for (const video of [undefined, 7, {}, [clip], null]) {
      expect(() => segmenter.stream(video as never, 'a ball')).toThrow(
        expect.objectContaining({ code: 'BAD_ARGUMENT', argument: 'video' }),
      );
    }
    await expect(openVideo(Buffer.alloc(0))).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
    await expect(openVideo(Buffer.from('no video'))).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
    await expect(openVideo(createReadStream(clip, 'latin1'))).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
    await expect(openVideo(new URL('ftp://example.org/a.mp4'))).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
    await expect(openVideo(bytes, { maxSpool: 100 })).rejects.toMatchObject(rvosError('LIMIT_EXCEEDED'));
    expect(await temporary()).toEqual([]);
  });

  it('that stops coming ends at an abort', async () => {
    const controller = new AbortController();
    async function* stuck() {
      yield bytes.subarray(0, 100);
      setTimeout(() => controller.abort(), 50);
      await new Promise(() => undefined);
    }
    await expect(frames(stuck(), controller.signal)).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await temporary()).map((name) => join(folder.path, name))).toEqual([]);
  });
});
