import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { RvosError } from '../src/errors.js';
import { type WindowTail, windowFrames, windowRanges } from '../src/windows.js';
import { goldenPath } from './support/safetensors.js';

const published = { length: 24, overlap: 6 };
const tails: WindowTail[] = ['published', 'anchored'];

async function* count(frames: number): AsyncGenerator<number> {
  for (let i = 0; i < frames; i++) yield i;
}

async function streamed(frames: number, schedule = published, tail: WindowTail = 'published') {
  const windows = [];
  for await (const window of windowFrames(count(frames), schedule, tail)) windows.push(window);
  return windows;
}

describe('the published schedule', () => {
  it('is that of the goldens', async () => {
    const golden = JSON.parse(readFileSync(goldenPath('e2e/e2e.json'), 'utf8'));
    const { N, windows, window_length, window_overlap } = golden;
    const ranges = windowRanges(N, { length: window_length, overlap: window_overlap });
    expect(ranges.map(({ start, end }) => [start, end])).toEqual(windows);
    expect((await streamed(N)).map(({ start, end }) => [start, end])).toEqual(windows);
  });

  it.each([
    [1, [[0, 1]]],
    [18, [[0, 18]]],
    [
      19,
      [
        [0, 19],
        [18, 19],
      ],
    ],
    [
      24,
      [
        [0, 24],
        [18, 24],
      ],
    ],
    [
      42,
      [
        [0, 24],
        [18, 42],
        [36, 42],
      ],
    ],
    [
      43,
      [
        [0, 24],
        [18, 42],
        [36, 43],
      ],
    ],
  ])('cuts %i frames as range(0, T, 18) does', (frames, expected) => {
    expect(windowRanges(frames, published).map(({ start, end }) => [start, end])).toEqual(expected);
  });
});

describe('the anchored tail', () => {
  it.each([
    [1, [[0, 1]]],
    [24, [[0, 24]]],
    [
      25,
      [
        [0, 24],
        [1, 25],
      ],
    ],
    [
      40,
      [
        [0, 24],
        [16, 40],
      ],
    ],
    [
      42,
      [
        [0, 24],
        [18, 42],
      ],
    ],
    [
      43,
      [
        [0, 24],
        [18, 42],
        [19, 43],
      ],
    ],
  ])('fills the last window of %i frames', async (frames, expected) => {
    expect(windowRanges(frames, published, 'anchored').map(({ start, end }) => [start, end])).toEqual(expected);
  });
});

describe('windows of a stream', () => {
  it('are those of the known length, for every schedule, and hold their own frames', async () => {
    const schedules = fc
      .tuple(fc.integer({ min: 1, max: 12 }), fc.nat({ max: 11 }))
      .filter(([length, overlap]) => overlap < length);
    await fc.assert(
      fc.asyncProperty(fc.nat({ max: 60 }), schedules, fc.constantFrom(...tails), async (frames, pair, tail) => {
        const schedule = { length: pair[0], overlap: pair[1] };
        const windows = await streamed(frames, schedule, tail);
        expect(windows.map(({ start, end }) => ({ start, end }))).toEqual(windowRanges(frames, schedule, tail));
        windows.forEach((window, i) => {
          expect(window.index).toBe(i);
          expect(window.frames).toEqual(Array.from({ length: window.end - window.start }, (_, k) => window.start + k));
        });
        // Together they hold every frame, and no window begins before the one that came earlier.
        expect(new Set(windows.flatMap((window) => window.frames)).size).toBe(frames);
        for (let i = 1; i < windows.length; i++) expect(windows[i]!.start).toBeGreaterThan(windows[i - 1]!.start);
      }),
    );
  });

  it.each(tails)('come as soon as their last frame is there (%s)', async (tail) => {
    let taken = 0;
    async function* counting() {
      for await (const frame of count(60)) {
        taken++;
        yield frame;
      }
    }
    const windows = windowFrames(counting(), published, tail);
    expect((await windows.next()).value).toMatchObject({ start: 0, end: 24 });
    expect(taken).toBe(24);
    expect((await windows.next()).value).toMatchObject({ start: 18, end: 42 });
    expect(taken).toBe(42);
    await windows.return();
  });

  it.each([
    { length: 0, overlap: 0 },
    { length: 24, overlap: 24 },
    { length: 24, overlap: -1 },
    { length: 2.5, overlap: 0 },
  ])('refuse the schedule %j', (schedule) => {
    expect(() => windowRanges(10, schedule)).toThrow(RvosError);
  });
});
