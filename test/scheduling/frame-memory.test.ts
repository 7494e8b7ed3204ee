import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { configure } from '../../src/configure.js';
import { FrameMemory, frameMemory } from '../../src/scheduling/frame-memory.js';
import { Segmenter } from '../../src/segmenter.js';
import { FakeBackend, fakeModel } from '../support/fake-backend.js';

/** Whether a promise is settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false;
  promise.then(() => {
    done = true;
  });
  await sleep(1);
  return done;
}

describe('frame memory', () => {
  it('lets streams hold as much as fits; the next one waits until something is given back', async () => {
    const memory = new FrameMemory({ maxFrameMemory: 100 });
    const [a, b] = [memory.join(), memory.join()];
    await a.take(60);
    a.compute(1);
    const second = b.take(60);
    expect(await settled(second)).toBe(false);
    a.giveBack(30);
    await second;
    expect(memory.held).toBe(90);
    a.leave();
    b.leave();
    expect(memory.held).toBe(0);
  });

  it('one window of one stream always fits, the next one when that has left', async () => {
    const memory = new FrameMemory({ maxFrameMemory: 100 });
    const only = memory.join();
    await only.take(2400);
    only.compute(1);
    const next = only.take(1800);
    expect(await settled(next)).toBe(false);
    only.giveBack(1800);
    only.compute(-1);
    await next;
    expect(memory.held).toBe(2400);
  });

  it('a window that is wanted now goes before one decoded ahead, and a newcomer before both', async () => {
    const memory = new FrameMemory({ maxFrameMemory: 100 });
    const [busy, ahead, wanting, newcomer] = [memory.join(), memory.join(), memory.join(), memory.join()];
    const order: string[] = [];
    await busy.take(80);
    busy.compute(1);
    await ahead.take(10);
    ahead.compute(1);
    await wanting.take(10);
    const takes = [ahead.take(40), wanting.take(40), newcomer.take(40)].map((take, i) =>
      take.then(() => order.push(['ahead', 'wanting', 'newcomer'][i]!)),
    );
    await sleep(1);
    busy.giveBack(80);
    await Promise.all(takes.slice(1));
    expect(order).toEqual(['newcomer', 'wanting']);
    newcomer.leave();
    await takes[0];
  });

  it('where all that hold frames wait for readers, one more is let in', async () => {
    const memory = new FrameMemory({ maxFrameMemory: 100 });
    const [a, b, c] = [memory.join(), memory.join(), memory.join()];
    await a.take(90);
    a.beginReading();
    const [second, third] = [b.take(90), c.take(90)];
    expect(await settled(second)).toBe(false);
    await second;
    b.compute(1);
    await sleep(400);
    expect(await settled(third)).toBe(false);
    b.beginReading();
    await third;
    expect(memory.held).toBe(270);
  });

  it('an abort ends the wait for memory and for a decoder', async () => {
    const memory = new FrameMemory({ maxFrameMemory: 100, maxDecoders: 1 });
    const first = await memory.enter();
    await first.take(100);
    first.compute(1);
    const controller = new AbortController();
    const { signal } = controller;
    const waits = [memory.enter({ signal }), memory.join().take(10, signal)];
    await sleep(1);
    controller.abort();
    for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: 'ABORTED' });
    expect(memory.waiting).toEqual({ decoders: 0, memory: 0 });
  });
});

describe('decoders', () => {
  it('are limited; one that has decoded all, or waits for its reader, does not count', async () => {
    const memory = new FrameMemory({ maxDecoders: 2 });
    const [a, b] = [await memory.enter(), await memory.enter()];
    const third = memory.enter();
    expect(await settled(third)).toBe(false);
    a.endDecoding();
    await third;
    const fourth = memory.enter();
    expect(await settled(fourth)).toBe(false);
    b.beginReading();
    await fourth;
  });

  it('one is kept free of long videos', async () => {
    const memory = new FrameMemory({ maxDecoders: 2 });
    const first = await memory.enter({ long: true });
    const second = memory.enter({ long: true });
    expect(await settled(second)).toBe(false);
    await memory.enter();
    first.leave();
    await second;
  });
});

describe('streams', () => {
  const frame = (index: number) => ({ width: 960, height: 540, data: new Uint8Array(960 * 540 * 3), time: index / 25 });
  async function* clip(count: number) {
    for (let i = 0; i < count; i++) yield frame(i);
  }

  it('six that are read in step all go on, although three windows fit', async () => {
    const { maxFrameMemory } = frameMemory.limits;
    configure({ maxFrameMemory: 3 * 24 * 960 * 540 * 3 });
    try {
      const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
      const readers = Array.from({ length: 6 }, () => segmenter.segmentFrames(clip(50), ['a'])[Symbol.asyncIterator]());
      for (let i = 0; i < 50; i++) {
        const frames = await Promise.all(readers.map((reader) => reader.next()));
        expect(frames.map(({ value }) => value?.index)).toEqual(Array(6).fill(i));
      }
      expect(await Promise.all(readers.map(async (reader) => (await reader.next()).done))).toEqual(Array(6).fill(true));
      expect(frameMemory.held).toBe(0);
    } finally {
      configure({ maxFrameMemory });
    }
  });

  it('one of 8K holds one window and no more, although that is larger than the limit', async () => {
    const [width, height] = [7680, 4320];
    const data = new Uint8Array(width * height * 3);
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    let most = 0;
    async function* frames() {
      for (let i = 0; i < 60; i++) {
        most = Math.max(most, frameMemory.held);
        yield { width, height, data, time: i / 25 };
      }
    }
    let count = 0;
    const masksOnly = segmenter.segmentFrames(frames(), ['a'], { minScore: 1 });
    for await (const _ of masksOnly) {
      most = Math.max(most, frameMemory.held);
      count++;
    }
    expect(count).toBe(60);
    expect(most).toBe(24 * width * height * 3);
  });

  it('settings that are none are refused', () => {
    expect(() => configure({ maxFrameMemory: 'much' })).toThrow(/maxFrameMemory/);
    expect(() => configure({ maxDecoders: 0 })).toThrow(/maxDecoders/);
    expect(frameMemory.limits).toEqual({ maxFrameMemory: 512e6, maxDecoders: 4 });
  });
});
