import { beforeAll, describe, expect, it } from 'vitest';
import type { Frames, TextFeatures } from '../../src/backends/backend.js';
import type { TensorRtBackend } from '../../src/backends/tensorrt.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import { recordFigure } from '../support/figures.js';
import { bytesOf, goldenPath, readGoldens } from '../support/safetensors.js';
import { freeBytes, type Gpu, isSimulated, openBackend, openGpu } from './gpu.js';
import { openGolden, videoRule } from './models.js';

let gpu: Gpu;
let model: ModelFolder;
beforeAll(async () => {
  gpu = await openGpu();
  model = await openGolden();
});

const pixels = bytesOf(readGoldens(goldenPath('e2e/e2e.safetensors')), 'frames');
const frameBytes = 64 * 96 * 3;

function windowOf(stream: number, start: number, count: number): Frames {
  const frames = Array.from({ length: count }, (_, i) => {
    const at = ((start + i) % 40) * frameBytes;
    return { width: 96, height: 64, data: pixels.subarray(at, at + frameBytes), time: start + i };
  });
  return { stream, start, frames };
}

/** Windows of several videos, of both temporal forms, with all kinds of options; every tenth is aborted. */
async function runWindows(backend: TensorRtBackend, texts: readonly TextFeatures[], count: number): Promise<void> {
  for (let first = 0; first < count; first += 4) {
    const calls = [0, 1, 2, 3].map(async (video) => {
      const number = first + video;
      const length = number % 5 === 0 ? 3 : 24;
      const controller = new AbortController();
      const call = backend.segment(windowOf(video, (first / 4) * 18, length), texts, {
        preprocessing: videoRule,
        ...(number % 7 === 0 && { queries: 'all' as const }),
        ...(number % 11 === 0 && { frames: [1] }),
        signal: controller.signal,
      });
      if (number % 10 === 0) setTimeout(() => controller.abort(), 1);
      await call.catch((error: unknown) => {
        if (!controller.signal.aborted) throw error;
      });
    });
    await Promise.all(calls);
  }
}

/**
 * Every shape that memory could still grow for: windows in a batch, temporal forms, sentences, masks of one or all object queries,
 * kept frames. Windows of different videos that wait at the same time share a batch.
 */
async function everyShape(backend: TensorRtBackend, texts: readonly TextFeatures[]): Promise<void> {
  for (const sentences of [texts.slice(0, 1), texts]) {
    for (const length of [1, 3, 24]) {
      for (const together of [1, 2, 4]) {
        for (const queries of ['best', 'all'] as const) {
          for (const frames of [undefined, [0]]) {
            const options = { preprocessing: videoRule, queries, ...(frames && { frames }) };
            const calls = Array.from({ length: together }, (_, video) =>
              backend.segment(windowOf(100 + video, 0, length), sentences, options),
            );
            await Promise.all(calls);
          }
        }
      }
    }
  }
}

async function textsOf(backend: TensorRtBackend): Promise<TextFeatures[]> {
  const tokenizer = await model.tokenizer();
  return backend.encodeText(['a red ball', 'the white car'].map((text) => tokenizer.prepare(text)));
}

const mebibyte = 2 ** 20;
/** The simulated device shows that the test runs, a GPU shows what it tests. */
const [windows, openings] = isSimulated ? [40, 3] : [200, 10];

describe('memory', () => {
  it(`of device and host does not grow over ${windows} windows`, async () => {
    await using backend = openBackend(gpu, model);
    const texts = await textsOf(backend);
    await everyShape(backend, texts);
    // Both slots have seen what comes in this order.
    await runWindows(backend, texts, windows / 2);
    globalThis.gc?.();
    const device = freeBytes(gpu);
    const host = process.memoryUsage().rss;
    await runWindows(backend, texts, windows);
    globalThis.gc?.();
    const deviceGrowth = device - freeBytes(gpu);
    const hostGrowth = process.memoryUsage().rss - host;
    recordFigure('growth over windows, MiB', 'device', deviceGrowth / mebibyte);
    recordFigure('growth over windows, MiB', 'host', hostGrowth / mebibyte);
    // Pages of the driver come and go by two megabytes; a leak of one frame a window would be more.
    expect(deviceGrowth).toBeLessThanOrEqual(4 * mebibyte);
    expect(hostGrowth).toBeLessThanOrEqual(48 * mebibyte);
  });

  it(`comes back when backends are disposed, ${openings} times over`, async () => {
    const once = async () => {
      await using backend = openBackend(gpu, model);
      await runWindows(backend, await textsOf(backend), 8);
    };
    for (let i = 0; i < 3; i++) await once();
    const device = freeBytes(gpu);
    for (let i = 0; i < openings; i++) await once();
    const growth = device - freeBytes(gpu);
    recordFigure('growth over openings, MiB', 'device', growth / mebibyte);
    expect(growth).toBeLessThanOrEqual(8 * mebibyte);
  });
});
