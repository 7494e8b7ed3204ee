import { getEventListeners } from 'node:events';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { RvosError } from '../src/errors.js';
import { maskToPixels } from '../src/masks/pixels.js';
import type { SegmentedFrame } from '../src/results/segmented-frame.js';
import { Segmenter } from '../src/segmenter.js';
import type { RgbFrame } from '../src/video/frame.js';
import { FakeBackend, fakeModel, syntheticFrames } from './support/fake-backend.js';

async function all(frames: AsyncIterable<SegmentedFrame>): Promise<SegmentedFrame[]> {
  const list = [];
  for await (const frame of frames) list.push(frame);
  return list;
}

/** A promise that is resolved from outside. */
function gated(): { promise: Promise<void>; resolve: () => void } {
  let resolve: () => void = () => undefined;
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}

const sentences = ['a red ball', 'the white car'];
const code = (name: string) =>
  expect.objectContaining({ name: name === 'ABORTED' ? 'AbortError' : 'RvosError', code: name });

describe('a run', () => {
  it('passes each window once, with all sentences, and encodes them once', async () => {
    const backend = new FakeBackend();
    const segmenter = Segmenter.around(await fakeModel(), backend);
    const frames = await all(segmenter.segmentFrames(syntheticFrames(40), sentences));
    expect(backend.windows.map(({ start, count }) => [start, start + count])).toEqual([
      [0, 24],
      [18, 40],
      [36, 40],
    ]);
    expect(backend.encoded).toEqual([sentences]);
    expect(backend.mostRunning).toBe(1);
    expect(frames.map(({ index }) => index)).toEqual(Array.from({ length: 40 }, (_, i) => i));
    // What was decoded is handed out with its own masks.
    expect(frames.every(({ index, frame }) => frame.data[0] === index)).toBe(true);
  });

  it('lets later windows overwrite the frames they share with earlier ones', async () => {
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    const frames = await all(segmenter.segmentFrames(syntheticFrames(40), sentences));
    const windowOf = (index: number) => (index < 18 ? 0 : index < 36 ? 1 : 2);
    for (const { index, masks, window } of frames) {
      expect(window).toBe(windowOf(index));
      expect(masks.map(({ bits }) => [bits[0], bits[1]])).toEqual([
        [windowOf(index), 1],
        [windowOf(index), 2],
      ]);
    }
  });

  it('moves the last window back with an anchored tail', async () => {
    const backend = new FakeBackend();
    const segmenter = Segmenter.around(await fakeModel(), backend);
    const frames = await all(segmenter.segmentFrames(syntheticFrames(40), ['a ball'], { tail: 'anchored' }));
    expect(backend.windows.map(({ start, count }) => [start, start + count])).toEqual([
      [0, 24],
      [16, 40],
    ]);
    expect(frames.map(({ window }) => window)).toEqual([...Array(16).fill(0), ...Array(24).fill(1)]);
  });

  it('weighs windows by their frames in the score of a sentence', async () => {
    const scores = [0.9, 0.5, 0.1];
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend({ score: (window) => scores[window]! }));
    const stream = segmenter.segmentFrames(syntheticFrames(40), ['a ball']);
    await all(stream);
    const { queries, video, times } = stream.summary();
    expect(queries[0]!.score).toBeCloseTo((0.9 * 24 + 0.5 * 22 + 0.1 * 4) / 50, 12);
    expect(queries[0]!.windows).toEqual([
      { start: 0, end: 24, objectQuery: 0, score: 0.9 },
      { start: 18, end: 40, objectQuery: 0, score: 0.5 },
      { start: 36, end: 40, objectQuery: 0, score: 0.1 },
    ]);
    expect(video).toMatchObject({ width: 8, height: 4, frames: 40 });
    expect(times).toHaveLength(40);
  });

  it('counts times from the first frame returned', async () => {
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    const frames = await all(segmenter.segmentFrames(syntheticFrames(20, 7), ['a ball']));
    expect(frames[0]!.time).toBe(0);
    expect(frames[19]!.time).toBeCloseTo(19 / 25, 9);
    expect(frames[0]!.frame.time).toBe(7);
  });

  it('empties masks of windows below the minimum score, each sentence for itself', async () => {
    const score = (window: number, sentence: number) => (window === 1 && sentence === 0 ? 0.2 : 0.6);
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend({ score }));
    const frames = await all(segmenter.segmentFrames(syntheticFrames(40), sentences, { minScore: 0.3 }));
    const empty = (sentence: number) => frames.filter(({ masks }) => masks[sentence]!.bits.every((byte) => byte === 0));
    expect(empty(0).map(({ index }) => index)).toEqual(Array.from({ length: 18 }, (_, i) => 18 + i));
    expect(empty(1)).toEqual([]);
  });

  it("takes the model's minimum score unless told otherwise", async () => {
    const segmenter = Segmenter.around(await fakeModel({ minScore: 0.7 }), new FakeBackend());
    const emptied = await all(segmenter.segmentFrames(syntheticFrames(3), ['a ball']));
    expect(emptied.every(({ masks }) => masks[0]!.bits.every((byte) => byte === 0))).toBe(true);
    const kept = await all(segmenter.segmentFrames(syntheticFrames(3), ['a ball'], { minScore: 0 }));
    expect(kept.every(({ masks }) => masks[0]!.bits.some((byte) => byte !== 0))).toBe(true);
  });

  it('links windows by the masks of the frames they share, unless there were none', async () => {
    const backend = new FakeBackend({ score: (window, sentence) => (window === 0 && sentence === 1 ? 0.1 : 0.9) });
    const segmenter = Segmenter.around(await fakeModel(), backend);
    await all(segmenter.segmentFrames(syntheticFrames(40), sentences, { linkWindows: true, minScore: 0.2 }));
    const links = backend.windows.map(({ options }) => options.link);
    expect(links[0]).toEqual([undefined, undefined]);
    expect(links[1]![0]).toHaveLength(6);
    expect(links[1]![0]!.map(({ bits }) => bits[1])).toEqual(Array(6).fill(1));
    expect(links[1]![1]).toBeUndefined();
    expect(links[2]![1]!.map(({ bits }) => bits[0])).toEqual(Array(4).fill(1));
  });

  it('hands sizes and antialias on only where they were given', async () => {
    const backend = new FakeBackend();
    const segmenter = Segmenter.around(await fakeModel(), backend);
    await all(segmenter.segmentFrames(syntheticFrames(2), ['a ball'], { shortSide: 80, antialias: false }));
    expect(backend.windows[0]!.options.preprocessing).toEqual({ shortSide: 80, antialias: false });
  });

  it('reports each window', async () => {
    const onProgress = vi.fn();
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    await all(segmenter.segmentFrames(syntheticFrames(40), ['a ball'], { onProgress }));
    expect(onProgress.mock.calls.map(([progress]) => progress)).toEqual([
      { frames: 24, totalFrames: null, windows: 1 },
      { frames: 40, totalFrames: null, windows: 2 },
      { frames: 40, totalFrames: null, windows: 3 },
    ]);
  });
});

describe('streaming', () => {
  it('reads one window ahead and no further, and holds no frame that is done', async () => {
    let read = 0;
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* counted(): AsyncGenerator<RgbFrame> {
      for await (const frame of syntheticFrames(500)) {
        read++;
        yield frame;
      }
    }
    const backend = new FakeBackend({ before: (window) => (window === 1 ? gate : Promise.resolve()) });
    const stream = Segmenter.around(await fakeModel(), backend).segmentFrames(counted(), ['a ball']);
    const frames = stream[Symbol.asyncIterator]();
    // Frames of window 0 that window 1 does not share are given out while window 1 is computed.
    for (let i = 0; i < 18; i++) expect((await frames.next()).value).toMatchObject({ index: i });
    const next = frames.next();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(backend.windows).toHaveLength(2);
    expect(read).toBe(24 + 18 + 18);
    release();
    expect((await next).value).toMatchObject({ index: 18 });
    await frames.return();
  });

  it('keeps memory bounded: of 3000 frames of a megabyte only a few windows are alive', async () => {
    // Frames are counted down when the collector takes them, so this does not depend on what the process has besides.
    let alive = 0;
    let most = 0;
    const registry = new FinalizationRegistry(() => alive--);
    async function* large(): AsyncGenerator<RgbFrame> {
      for (let i = 0; i < 3000; i++) {
        const data = new Uint8Array(1024 * 342 * 3);
        registry.register(data, i);
        alive++;
        most = Math.max(most, alive);
        yield { width: 1024, height: 342, data, time: i / 25 };
        if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
      }
    }
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    let frames = 0;
    for await (const _ of segmenter.segmentFrames(large(), ['a ball'])) frames++;
    expect(frames).toBe(3000);
    expect(most).toBeLessThan(600);
  });

  it('stops decoder and backend when the loop is left', async () => {
    let ended = false;
    async function* watched(): AsyncGenerator<RgbFrame> {
      try {
        yield* syntheticFrames(500);
      } finally {
        ended = true;
      }
    }
    let seen: AbortSignal | undefined;
    const before = async (_: number, signal: AbortSignal | undefined) => {
      seen = signal;
    };
    const stream = Segmenter.around(await fakeModel(), new FakeBackend({ before })).segmentFrames(watched(), [
      'a ball',
    ]);
    for await (const { index } of stream) if (index === 3) break;
    await vi.waitFor(() => expect(ended).toBe(true));
    expect(seen?.aborted).toBe(true);
  });

  it('can be iterated once', async () => {
    const stream = Segmenter.around(await fakeModel(), new FakeBackend()).segmentFrames(syntheticFrames(2), ['a ball']);
    await all(stream);
    await expect(all(stream)).rejects.toThrow('once');
  });
});

describe('a backend that takes several windows at once', () => {
  const two = { windowsInFlight: 2 };
  /** Resolves once whatever can go on has gone on. */
  const settled = () => new Promise((resolve) => setTimeout(resolve, 30));

  it('is given the next window before the first one is done, and no more than it takes', async () => {
    const gates = Array.from({ length: 8 }, () => gated());
    const backend = new FakeBackend({ ...two, before: (window) => gates[window]!.promise });
    const stream = Segmenter.around(await fakeModel(), backend).segmentFrames(syntheticFrames(100), ['a ball']);
    const running = all(stream);
    await settled();
    expect(backend.windows.map(({ start }) => start)).toEqual([0, 18]);
    // The second one is done first: nothing is handed out and nothing is started for it.
    gates[1]!.resolve();
    await settled();
    expect(backend.windows).toHaveLength(2);
    gates[0]!.resolve();
    await settled();
    expect(backend.windows.map(({ start }) => start)).toEqual([0, 18, 36, 54]);
    for (const gate of gates) gate.resolve();
    const frames = await running;
    expect(frames.map(({ index }) => index)).toEqual(Array.from({ length: 100 }, (_, i) => i));
    expect(backend.mostRunning).toBe(2);
  });

  it('gives the same frames in the same order, however long each window takes', async () => {
    const order = [40, 5, 30, 1, 20, 10];
    const expected = await all(
      Segmenter.around(await fakeModel(), new FakeBackend()).segmentFrames(syntheticFrames(100), sentences),
    );
    for (const tail of ['published', 'anchored'] as const) {
      const before = (window: number) => new Promise<void>((done) => setTimeout(done, order[window % order.length]));
      const backend = new FakeBackend({ windowsInFlight: 3, before });
      const onProgress = vi.fn();
      const stream = Segmenter.around(await fakeModel(), backend).segmentFrames(syntheticFrames(100), sentences, {
        tail,
        onProgress,
      });
      const frames = await all(stream);
      expect(backend.mostRunning).toBe(3);
      expect(onProgress.mock.calls.map(([{ windows }]) => windows)).toEqual(backend.windows.map((_, i) => i + 1));
      if (tail === 'published') expect(frames).toEqual(expected);
      else expect(frames.map(({ index }) => index)).toEqual(expected.map(({ index }) => index));
    }
  });

  it('gets one at a time while windows are linked, each with the masks of the one before', async () => {
    const backend = new FakeBackend({ windowsInFlight: 4 });
    const stream = Segmenter.around(await fakeModel(), backend).segmentFrames(syntheticFrames(60), ['a ball'], {
      linkWindows: true,
    });
    await all(stream);
    expect(backend.mostRunning).toBe(1);
    expect(backend.windows.slice(1).map(({ options }) => options.link![0]![0]!.bits[0])).toEqual([0, 1, 2]);
  });

  it('hands out what comes before a window that fails, then its error, and stops the others', async () => {
    const signals: AbortSignal[] = [];
    const before = async (window: number, signal: AbortSignal | undefined) => {
      signals.push(signal!);
      // The failure is known long before the masks of the window before it.
      if (window === 1) throw new RvosError('OUT_OF_MEMORY', 'no memory', 'Buy some.');
      await new Promise((resolve) => setTimeout(resolve, 40));
    };
    const backend = new FakeBackend({ windowsInFlight: 3, before });
    const seen: number[] = [];
    const run = async () => {
      const stream = Segmenter.around(await fakeModel(), backend).segmentFrames(syntheticFrames(100), ['a ball']);
      for await (const { index } of stream) seen.push(index);
    };
    await expect(run()).rejects.toThrow(code('OUT_OF_MEMORY'));
    expect(seen).toEqual(Array.from({ length: 18 }, (_, i) => i));
    expect(signals.every(({ aborted }) => aborted)).toBe(true);
  });

  it('keeps frames of a bounded number of windows, none prepared ahead when they are large', async () => {
    let read = 0;
    // Four frames a window, 300 MB: two windows would be 600 MB.
    const data = new Uint8Array(5000 * 5000 * 3);
    async function* large(): AsyncGenerator<RgbFrame> {
      for (let i = 0; i < 20; i++, read++) yield { width: 5000, height: 5000, data, time: i };
    }
    const gate = gated();
    const backend = new FakeBackend({ windowsInFlight: 4, before: () => gate.promise });
    const model = { ...(await fakeModel()), windows: { length: 4, overlap: 1 } };
    const running = all(Segmenter.around(model, backend).segmentFrames(large(), ['a ball']));
    await settled();
    expect(backend.windows).toHaveLength(1);
    expect(read).toBeLessThanOrEqual(7);
    gate.resolve();
    expect(await running).toHaveLength(20);
    expect(backend.mostRunning).toBe(1);
  });

  it('stops them all at an abort', async () => {
    const controller = new AbortController();
    let stopped = 0;
    const before = (_: number, signal: AbortSignal | undefined) =>
      new Promise<void>((_, reject) => {
        signal!.addEventListener('abort', () => {
          stopped++;
          reject(new Error('stopped'));
        });
      });
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend({ windowsInFlight: 3, before }));
    const running = all(segmenter.segmentFrames(syntheticFrames(100), ['a ball'], { signal: controller.signal }));
    setTimeout(() => controller.abort(), 20);
    await expect(running).rejects.toThrow(code('ABORTED'));
    expect(stopped).toBe(3);
  });
});

describe('an abort', () => {
  it('ends a run that waits for the backend, and leaves no listener behind', async () => {
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const before = (_: number, signal: AbortSignal | undefined) =>
      new Promise<void>((_, reject) => signal!.addEventListener('abort', () => reject(new Error('killed'))));
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend({ before }));
    const running = all(segmenter.segmentFrames(syntheticFrames(40), ['a ball'], { signal: controller.signal }));
    setTimeout(() => controller.abort(), 20);
    await expect(running).rejects.toThrow(code('ABORTED'));
    expect(add).toHaveBeenCalled();
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
  });

  it('ends a run that waits for frames which never come', async () => {
    const controller = new AbortController();
    async function* stuck(): AsyncGenerator<RgbFrame> {
      yield* syntheticFrames(3);
      await new Promise(() => undefined);
    }
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    const running = all(segmenter.segmentFrames(stuck(), ['a ball'], { signal: controller.signal }));
    setTimeout(() => controller.abort(), 20);
    await expect(running).rejects.toThrow(code('ABORTED'));
  });

  it('is not listened for by a stream that is never read', async () => {
    const { signal } = new AbortController();
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    segmenter.segmentFrames(syntheticFrames(40), ['a ball'], { signal });
    segmenter.stream('absent.mp4', ['a ball'], { signal });
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('that came before is honoured by open, each time', async () => {
    for (let i = 0; i < 2; i++) {
      await expect(Segmenter.open({ signal: AbortSignal.abort() })).rejects.toMatchObject({
        name: 'AbortError',
        code: 'ABORTED',
      });
    }
  });

  it('before the start computes nothing', async () => {
    const backend = new FakeBackend();
    const segmenter = Segmenter.around(await fakeModel(), backend);
    const options = { signal: AbortSignal.abort() };
    await expect(all(segmenter.segmentFrames(syntheticFrames(40), ['a ball'], options))).rejects.toThrow(
      code('ABORTED'),
    );
    expect(backend.windows).toEqual([]);
  });
});

it('after dispose each method says so', async () => {
  const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
  await segmenter.dispose();
  await segmenter.dispose();
  await expect(segmenter.segment('a.mp4', 'a ball')).rejects.toThrow(code('DISPOSED'));
  expect(() => segmenter.stream('a.mp4', 'a ball')).toThrow(code('DISPOSED'));
  expect(() => segmenter.segmentFrames(syntheticFrames(1), 'a ball')).toThrow(code('DISPOSED'));
});

describe('bad input', () => {
  it('standard input is refused unless told', async () => {
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    await expect(segmenter.segment('-', 'a ball')).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      hint: expect.stringContaining('standardInput: true'),
    });
  });

  const cases: [string, string, () => Promise<unknown>][] = [
    ['no sentence', 'BAD_SENTENCE', async () => run([], {})],
    ['an empty sentence', 'BAD_SENTENCE', () => run(['   '], {})],
    ['a sentence of 10,000 characters', 'BAD_SENTENCE', () => run(['word '.repeat(2000)], {})],
    ['a minimum score above 1', 'BAD_ARGUMENT', async () => run(['a'], { minScore: 1.5 })],
    ['sizes that are no limits', 'BAD_ARGUMENT', () => run(['a'], { shortSide: 640, longSide: 360 })],
    ['no frames', 'NO_FRAMES', () => run(['a'], {}, syntheticFrames(0))],
    ['frames too long and thin', 'BAD_FRAME_SIZE', () => run(['a'], {}, one(4000, 1))],
    [
      'a frame with too few bytes',
      'BAD_FRAME_SIZE',
      () => run(['a'], {}, [{ width: 9, height: 9, data: new Uint8Array(9) }]),
    ],
    ['frames that change size', 'BAD_FRAME_SIZE', () => run(['a'], {}, [...one(8, 4), ...one(4, 8)])],
    [
      'a Mat that is not BGR',
      'BAD_FRAME_SIZE',
      () => run(['a'], {}, [{ rows: 2, cols: 2, channels: 1, getData: () => new Uint8Array(4) }]),
    ],
  ];

  function one(width: number, height: number) {
    return [{ width, height, data: new Uint8Array(width * height * 3) }];
  }

  async function run(
    texts: string[],
    options: Parameters<Segmenter['segmentFrames']>[2],
    frames: Parameters<Segmenter['segmentFrames']>[0] = syntheticFrames(30),
  ) {
    return all(Segmenter.around(await fakeModel(), new FakeBackend()).segmentFrames(frames, texts, options));
  }

  it.each(cases)('%s: %s', async (_, expected, act) => {
    await expect(act()).rejects.toThrow(code(expected));
  });
});

describe('supplied frames', () => {
  it('may be OpenCV Mats, blue first, and get their times from the frame rate', async () => {
    const mats = [1, 2].map((value) => ({
      rows: 1,
      cols: 2,
      channels: 3,
      getData: () => Uint8Array.of(10, 20, 30, value, value, 99),
    }));
    const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
    const frames = await all(segmenter.segmentFrames(mats, ['a ball'], { frameRate: 10 }));
    expect([...frames[0]!.frame.data]).toEqual([30, 20, 10, 99, 1, 1]);
    expect(frames.map(({ time }) => time)).toEqual([0, 0.1]);
  });
});

describe('pixels that are not square', () => {
  it('give the masks of the clip as displayed, in stored pixels', { timeout: 60_000 }, async () => {
    await using segmenter = await Segmenter.open({ model: 'compact', backend: 'onnxruntime' });
    const sentence = 'the red heart moving right';
    const masksOf = async (video: string) => {
      await using result = await segmenter.segment(video, sentence);
      const masks: { readonly width: number; readonly height: number; bit(x: number, y: number): boolean }[] = [];
      for await (const { masks: found } of result.frames()) {
        const pixels = maskToPixels(found[0]!);
        const { width, height } = found[0]!;
        masks.push({ width, height, bit: (x, y) => pixels[y * width + x]! > 0 });
      }
      return { masks, score: result.queries[0]!.score };
    };
    const wide = await masksOf(join(import.meta.dirname, 'field-cases/anamorphic-64x45.mp4'));
    const square = await masksOf(join(import.meta.dirname, '../examples/demo.mp4'));
    expect(wide.score).toBeGreaterThan(0.95);
    let both = 0;
    let either = 0;
    for (const [t, { width, height, bit }] of square.masks.entries()) {
      const other = wide.masks[t]!;
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          const stored = Math.min(other.width - 1, Math.floor(((x + 0.5) * other.width) / width));
          const [a, b] = [bit(x, y), other.bit(stored, Math.floor(((y + 0.5) * other.height) / height))];
          if (a && b) both++;
          if (a || b) either++;
        }
      }
    }
    expect(both / either).toBeGreaterThan(0.9);
  });
});
