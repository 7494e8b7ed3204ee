import { getEventListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { drainInto, type SinkOpener } from '../../src/results/frame-sink.js';
import { contactSheetOutput, cutOutsOutput, maskedVideoOutput, masksOutput } from '../../src/results/outputs.js';
import { Segmenter } from '../../src/segmenter.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { FakeBackend, fakeModel } from '../support/fake-backend.js';

const size = { width: 160, height: 120 };
const frameBytes = size.width * size.height * 3;
const early = 60;
const late = 260;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-output-memory-'));
});
afterAll(() => rm(folder, { recursive: true }));

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** Bytes of buffers in use, after all that nobody can reach was collected. */
async function bytesInUse(): Promise<number> {
  for (let i = 0; i < 3; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  return process.memoryUsage().arrayBuffers;
}

async function* frames(count: number): AsyncGenerator<RgbFrame> {
  for (let i = 0; i < count; i++) yield { ...size, data: new Uint8Array(frameBytes).fill(i), time: i / 25 };
}

const outputs: readonly (readonly [string, (path: string) => SinkOpener])[] = [
  ['out.mp4', maskedVideoOutput],
  ['cut.webm', (path) => cutOutsOutput(0, path)],
  ['cut', (path) => cutOutsOutput(0, path)],
  ['masks.json', masksOutput],
  ['masks', masksOutput],
  ['sheet.png', contactSheetOutput],
];

it.each(outputs)('%s holds no frame longer than it needs it, and no listener', async (name, open) => {
  const { signal } = new AbortController();
  const seen: number[] = [];
  const listeners: number[] = [];
  const measure: SinkOpener = async () => ({
    write: async ({ index }) => {
      if (index !== early && index !== late) return;
      seen.push(await bytesInUse());
      listeners.push(getEventListeners(signal, 'abort').length);
    },
    finish: async () => undefined,
    abort: async () => undefined,
  });
  const segmenter = Segmenter.around(await fakeModel(), new FakeBackend());
  const stream = segmenter.segmentFrames(frames(late + 20), ['a ball'], { signal });
  await drainInto(stream, [open(join(folder, name)), measure]);
  // Some pictures of a contact sheet, and whatever waits in a pipe; every frame held would be 200 of them.
  expect(seen[1]! - seen[0]!).toBeLessThan(40 * frameBytes);
  expect(listeners[1]).toBe(listeners[0]);
  expect(getEventListeners(signal, 'abort')).toEqual([]);
});
