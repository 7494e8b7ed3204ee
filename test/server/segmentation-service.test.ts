import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { frameMemory } from '../../src/scheduling/frame-memory.js';
import { Segmenter } from '../../src/segmenter.js';
import { SegmentationService } from '../../src/server/index.js';
import { type FakeBackend, fakeModel, syntheticFrames } from '../support/fake-backend.js';
import { TurnBackend } from '../support/turn-backend.js';
import { ffmpeg, videoFolder } from '../support/videos.js';

async function open(backend: FakeBackend = new TurnBackend()) {
  return SegmentationService.around(Segmenter.around(await fakeModel(), backend));
}

async function count(frames: AsyncIterable<unknown>): Promise<number> {
  let frameCount = 0;
  for await (const _ of frames) frameCount++;
  return frameCount;
}

let folder: Awaited<ReturnType<typeof videoFolder>>;
let [long, short] = ['', ''];
beforeAll(async () => {
  folder = await videoFolder();
  [long, short] = [join(folder.path, 'long.mp4'), join(folder.path, 'short.mp4')];
  const source = (seconds: number) => ['-f', 'lavfi', '-i', `testsrc2=size=64x48:rate=25:duration=${seconds}`];
  await ffmpeg(...source(20), '-c:v', 'mpeg4', long);
  await ffmpeg(...source(0.4), '-c:v', 'mpeg4', short);
});
afterAll(() => folder.remove());

describe('a service', () => {
  it('serves the first frame of a short clip behind long ones within three windows', async () => {
    const backend = new TurnBackend(20);
    await using service = await open(backend);
    const controller = new AbortController();
    const { signal } = controller;
    const longs = Array.from({ length: 8 }, () =>
      count(service.stream(long, ['a'], { signal })).catch((error: unknown) => error),
    );
    while (backend.order.length < 10) await sleep(10);
    const stream = service.stream(short, ['b']);
    await stream.start();
    const before = backend.order.length;
    for await (const _ of stream) break;
    expect(backend.order.length - before).toBeLessThanOrEqual(3);
    controller.abort();
    for (const each of longs) expect(await each).toMatchObject({ code: 'ABORTED' });
    expect(service.state.runs).toBe(0);
    expect(frameMemory.held).toBe(0);
  });

  it('has the results of the SDK, and shares the text of a sentence', async () => {
    const backend = new TurnBackend();
    await using service = await open(backend);
    const results = await Promise.all([1, 2, 3].map(() => service.segment(short, ['a', 'b'])));
    for (const result of results) {
      expect(result.video.frames).toBe(10);
      expect(result.queries.map(({ text }) => text)).toEqual(['a', 'b']);
      await result.dispose();
    }
    expect(service.state).toMatchObject({ runs: 0, frameBytes: 0 });
  });

  it('gives a larger share to a higher priority', async () => {
    const backend = new TurnBackend(2);
    await using service = await open(backend);
    const controller = new AbortController();
    const { signal } = controller;
    const runs = (['low', 'high'] as const).map((priority) =>
      count(service.segmentFrames(syntheticFrames(1800), ['a'], { priority, signal })).catch(() => undefined),
    );
    while (backend.order.length < 60) await sleep(5);
    controller.abort();
    await Promise.all(runs);
    const streams = [...new Set(backend.order)];
    const shares = streams.map((stream) => backend.order.slice(0, 60).filter((each) => each === stream).length);
    expect(Math.max(...shares)).toBeGreaterThan(20);
    expect(shares).toHaveLength(2);
  });

  it('ends a run at its deadline, with its own error, and leaves others alone', async () => {
    await using service = await open(new TurnBackend(30));
    const other = service.segment(short, ['a']);
    const late = service.segment(long, ['a'], { deadlineSeconds: 0.2 });
    await expect(late).rejects.toMatchObject({ name: 'RvosError', code: 'DEADLINE_EXCEEDED' });
    await (await other).dispose();
    expect(() => service.stream(long, ['a'], { deadlineSeconds: 0 })).toThrow(/deadline/);
    expect(service.state.runs).toBe(0);
  });

  it('an abort ends a run at once, also one that waits for a decoder', async () => {
    await using service = await open(new TurnBackend(30));
    const controller = new AbortController();
    const runs = Array.from({ length: 10 }, () =>
      service.segment(long, ['a'], { signal: controller.signal }).catch((error: unknown) => error),
    );
    await sleep(200);
    controller.abort();
    for (const run of runs) expect(await run).toMatchObject({ name: 'AbortError' });
  });

  it('is warm before the first request, and refuses runs once disposed', async () => {
    const backend = new TurnBackend();
    const segmenter = Segmenter.around(await fakeModel(), backend);
    const service = await SegmentationService.around(segmenter, { warmUp: [{ width: 64, height: 48 }] });
    expect(backend.windows[0]).toMatchObject({ count: 24 });
    await service.dispose();
    expect(backend.disposed).toBe(true);
    await expect(service.segment(short, ['a'])).rejects.toThrow(/disposed/);
  });
});
