import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { loadCore } from '../../../../src/native/load-core.js';
import type { NativePipeline, PipelineBatch, PipelineSentenceResult } from '../../../../src/native/tensorrt-addon.js';
import { randomNumbers } from '../../../support/kernel-jobs.js';
import {
  NoiseVideo,
  normalisation,
  type PlainOptions,
  plainWindow,
  sentence,
  source,
} from '../../../support/plain-pipeline.js';
import { type SimulatedAddon, simulatedAddon } from '../../../support/simulated-device.js';
import { writeSyntheticEngines } from '../../../support/synthetic-engines.js';
import { limits, runSynthetic } from '../../../support/synthetic-network.js';

/*
 * The window pipeline, as compiled for a GPU but for the device under it, against the plain computation: equal bit for bit.
 */

let addon: SimulatedAddon;
let folder: string;
let engines: Awaited<ReturnType<typeof writeSyntheticEngines>>;

beforeAll(async () => {
  addon = simulatedAddon();
  addon.setStageRunner(runSynthetic);
  folder = await mkdtemp(join(tmpdir(), 'rvos-pipeline-'));
  engines = await writeSyntheticEngines(folder);
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function withPipeline(use: (pipeline: NativePipeline) => Promise<void>): Promise<void> {
  const pipeline = await addon.openPipeline({ ...limits, ...normalisation, device: 0, engines });
  try {
    await use(pipeline);
  } finally {
    await pipeline.dispose();
  }
}

const rgb = { ...source, format: 'rgb', pitch: 3 * source.width } as const;

type Texts = readonly (ReturnType<typeof sentence> & { readonly window?: number })[];

function batch(
  windows: PipelineBatch['windows'],
  texts: Texts,
  { keep, queries = 'best', antialias = true }: PlainOptions = {},
): PipelineBatch {
  const sentences = texts.map((text) => ({ window: 0, ...text }));
  return { windows, sentences, source: rgb, antialias, queries, ...(keep && { keep }) };
}

function expectEqual(found: PipelineSentenceResult | undefined, expected: PipelineSentenceResult, where: string): void {
  expect(found?.objectQuery, `object query, ${where}`).toBe(expected.objectQuery);
  expect(found?.scores, `scores, ${where}`).toEqual(expected.scores);
  expect(Buffer.compare(found!.masks, expected.masks), `masks, ${where}`).toBe(0);
}

describe('a window', () => {
  it.each([1, 2, 7, 8, 9, 16, 23, 24])('of %i frames', async (count) => {
    const video = new NoiseVideo(count, count);
    const text = sentence(count);
    await withPipeline(async (pipeline) => {
      const [found] = await pipeline.run(batch([video.window(0, count)], [text])).done;
      expectEqual(found, await plainWindow(video, 0, count, text), `${count} frames`);
    });
  });

  it('without antialias, and larger and smaller frames after each other', async () => {
    await withPipeline(async (pipeline) => {
      for (const [i, size] of [source, { height: 90, width: 160 }, { height: 7, width: 9 }, source].entries()) {
        const video = new NoiseVideo(i, 3, size);
        const text = sentence(i);
        const given = { ...batch([video.window(0, 3)], [text]), antialias: false };
        const [found] = await pipeline.run({ ...given, source: { ...size, format: 'rgb', pitch: 3 * size.width } })
          .done;
        expectEqual(found, await plainWindow(video, 0, 3, text, { antialias: false }), `size ${i}`);
      }
    });
  });

  it('from rows that lie apart, and from BGR', async () => {
    const video = new NoiseVideo(5, 2);
    const text = sentence(5);
    const pitch = 3 * source.width + 13;
    const apart = video.frames.map((frame) => {
      const rows = new Uint8Array((source.height - 1) * pitch + 3 * source.width).fill(200);
      for (let y = 0; y < source.height; y++) {
        const row = frame.subarray(y * 3 * source.width, (y + 1) * 3 * source.width);
        for (let x = 0; x < row.length; x++) rows[y * pitch + x - (x % 3) + (2 - (x % 3))] = row[x]!;
      }
      return rows;
    });
    await withPipeline(async (pipeline) => {
      const given = {
        ...batch([{ ...video.window(0, 2), frames: apart }], [text]),
        source: { ...rgb, format: 'bgr', pitch },
      };
      const [found] = await pipeline.run(given as PipelineBatch).done;
      expectEqual(found, await plainWindow(video, 0, 2, text), 'BGR');
    });
  });

  it('from NV12 of odd height, rows apart', async () => {
    const { height, width } = source;
    const pitch = 64;
    const random = randomNumbers(77);
    const planes = Array.from({ length: 9 }, () =>
      Uint8Array.from({ length: (height + Math.ceil(height / 2)) * pitch }, () => random() & 255),
    );
    const size = 3 * limits.height * limits.width;
    const target = new Float32Array(planes.length * size);
    await loadCore().preprocessBatch({
      source: Uint8Array.from(
        planes.flatMap((plane) => [...plane.subarray(0, plane.length - pitch + 2 * Math.ceil(width / 2))]),
      ),
      frames: planes.length,
      format: 'nv12',
      matrix: 'bt601',
      ...{ height, width, pitch, target, targetHeight: limits.height, targetWidth: limits.width },
      antialias: true,
      ...normalisation,
    });
    const video = new NoiseVideo(11, 9);
    const text = sentence(11);
    await withPipeline(async (pipeline) => {
      const given = batch([{ ...video.window(0, 9), frames: planes }], [text]);
      const [found] = await pipeline.run({ ...given, source: { height, width, format: 'nv12', pitch } }).done;
      expectEqual(found, await plainWindow(video, 0, 9, text, { frames: target }), 'NV12');
    });
  });

  it('with more sentences than pass at once, of any length', async () => {
    const video = new NoiseVideo(6, 10);
    const texts = Array.from({ length: 11 }, (_, i) => sentence(i, 1 + ((i * 7) % limits.tokens)));
    await withPipeline(async (pipeline) => {
      const found = await pipeline.run(batch([video.window(0, 10)], texts)).done;
      expect(found).toHaveLength(11);
      for (const [i, text] of texts.entries())
        expectEqual(found[i], await plainWindow(video, 0, 10, text), `sentence ${i}`);
    });
  });

  it('without sentences brings its frames', async () => {
    const video = new NoiseVideo(7, 8);
    await withPipeline(async (pipeline) => {
      expect(await pipeline.run(batch([video.window(0, 6)], [])).done).toEqual([]);
      const text = sentence(7);
      const [found] = await pipeline.run(batch([video.window(2, 6, 4)], [text])).done;
      expectEqual(found, await plainWindow(video, 2, 6, text), 'after frames alone');
    });
  });

  it.each([[[12]], [[3, 4, 5, 23]], [[7, 2, 2, 0]]])('keeping frames %j', async (keep) => {
    const video = new NoiseVideo(8, 24);
    const texts = [sentence(1), sentence(2)];
    await withPipeline(async (pipeline) => {
      for (const queries of ['best', 'all'] as const) {
        const found = await pipeline.run(batch([video.window(0, 24)], texts, { keep, queries })).done;
        for (const [i, text] of texts.entries()) {
          expectEqual(found[i], await plainWindow(video, 0, 24, text, { keep, queries }), `${queries} ${i}`);
        }
      }
    });
  });

  it.each([3, 8, 24])('with the masks of all object queries, %i frames', async (count) => {
    const video = new NoiseVideo(9, count);
    const texts = Array.from({ length: 5 }, (_, i) => sentence(i));
    await withPipeline(async (pipeline) => {
      const found = await pipeline.run(batch([video.window(0, count)], texts, { queries: 'all' })).done;
      for (const [i, text] of texts.entries()) {
        expectEqual(found[i], await plainWindow(video, 0, count, text, { queries: 'all' }), `sentence ${i}`);
      }
    });
  });

  it('linked goes on with the object query whose masks overlap the earlier ones', async () => {
    const video = new NoiseVideo(10, 24);
    const bytes = Math.ceil((source.height * source.width) / 8);
    const chosen = new Set<number>();
    await withPipeline(async (pipeline) => {
      const texts = Array.from({ length: 3 }, (_, i) => sentence(20 + i));
      const every = await pipeline.run(batch([video.window(0, 24)], texts, { queries: 'all' })).done;
      for (let query = 0; query < limits.objectQueries; query++) {
        const linked = texts.map((text, i) => {
          const from = query * 24 * bytes;
          const masks = every[i]!.masks.subarray(from, from + 6 * bytes);
          const link = Array.from({ length: 6 }, (_, t) => masks.slice(t * bytes, (t + 1) * bytes));
          return i === 1 ? text : { ...text, link };
        });
        const found = await pipeline.run(batch([video.window(0, 24)], linked)).done;
        for (const [i, text] of linked.entries()) {
          const expected = await plainWindow(video, 0, 24, text);
          expectEqual(found[i], expected, `query ${query}, sentence ${i}`);
          chosen.add(expected.objectQuery);
        }
      }
    });
    // The test says nothing if linking never changes the choice.
    expect(chosen.size).toBeGreaterThan(2);
  });
});

describe('videos', () => {
  it('in windows of 24 that share 6: each frame is uploaded once, the last window is short', async () => {
    const video = new NoiseVideo(30, 24 + 18 + 5);
    const text = sentence(30);
    const windows = [
      [0, 24, 0],
      [18, 24, 6],
      [36, 11, 6],
    ] as const;
    const pipeline = await addon.openPipeline({ ...limits, ...normalisation, inFlight: 1, device: 0, engines });
    const uploaded = async (share: boolean) => {
      const before = addon.simulatedDevice.counters();
      const found = await Promise.all(
        windows.map(([start, count, shared]) => {
          return pipeline.run(batch([video.window(start, count, share ? shared : 0)], [text])).done;
        }),
      );
      for (const [i, [start, count]] of windows.entries()) {
        expectEqual(found[i]![0], await plainWindow(video, start, count, text), `window ${i}`);
      }
      return addon.simulatedDevice.counters().hostToDeviceBytes - before.hostToDeviceBytes;
    };
    await uploaded(false);
    const saved = (await uploaded(false)) - (await uploaded(true));
    // Staged frames lie a multiple of 256 bytes apart.
    expect(saved).toBe(12 * Math.ceil((3 * source.width * source.height) / 256) * 256);
    await pipeline.dispose();
  });

  it('in batches of windows of several videos, and of one', async () => {
    const videos = [40, 41, 42].map((stream) => new NoiseVideo(stream, 60));
    const texts = Array.from({ length: 6 }, (_, i) => ({ ...sentence(40 + i), window: i % 3 }));
    await withPipeline(async (pipeline) => {
      const several = await Promise.all(
        [0, 18, 36].map((start) => {
          const windows = videos.map((video, i) => video.window(start, 24 - i, start > 0 ? 6 - i : 0));
          return pipeline.run(batch(windows, texts)).done;
        }),
      );
      for (const [round, found] of several.entries()) {
        for (const [i, text] of texts.entries()) {
          const expected = await plainWindow(videos[text.window]!, round * 18, 24 - text.window, text);
          expectEqual(found[i], expected, `round ${round}, sentence ${i}`);
        }
      }
      const [video] = videos as [NoiseVideo];
      const own = [video.window(0, 8), video.window(5, 8, 3), video.window(10, 4, 3)];
      const found = await pipeline.run(batch(own, texts)).done;
      for (const [i, text] of texts.entries()) {
        const { start, count } = own[text.window]!;
        expectEqual(found[i], await plainWindow(video, start, count, text), `one video, sentence ${i}`);
      }
    });
  });

  it.each(Array.from({ length: 12 }, (_, i) => i + 1))('with operations that come late, seed %i', async (seed) => {
    addon.simulatedDevice.delay(seed, 3000);
    try {
      const videos = [50, 51].map((stream) => new NoiseVideo(stream + 2 * seed, 70));
      const texts = [sentence(seed), { ...sentence(seed + 1), window: 1 }];
      await withPipeline(async (pipeline) => {
        const starts = [0, 18, 36, 54];
        const found = await Promise.all(
          starts.map((start) => {
            const count = Math.min(24, 70 - start);
            return pipeline.run(
              batch(
                videos.map((video) => video.window(start, count, start > 0 ? 6 : 0)),
                texts,
              ),
            ).done;
          }),
        );
        for (const [round, start] of starts.entries()) {
          for (const [i, text] of texts.entries()) {
            const expected = await plainWindow(videos[i]!, start, Math.min(24, 70 - start), text);
            expectEqual(found[round]![i], expected, `window from ${start}, sentence ${i}`);
          }
        }
      });
    } finally {
      addon.simulatedDevice.delay(0, 0);
    }
  });
});

it('more shapes than are kept ready replace each other, results equal', async () => {
  const video = new NoiseVideo(61, 24);
  await withPipeline(async (pipeline) => {
    for (const round of [0, 1, 2]) {
      for (const count of [8, 24]) {
        for (let sentences = 1; sentences <= limits.sentences; sentences++) {
          for (const tokens of [8, 16, limits.tokens]) {
            const texts = Array.from({ length: sentences }, (_, i) => sentence(i + round, tokens - i));
            const found = await pipeline.run(batch([video.window(0, count)], texts)).done;
            const last = texts.at(-1)!;
            expectEqual(found.at(-1), await plainWindow(video, 0, count, last), `${sentences} of ${tokens} tokens`);
          }
        }
      }
    }
  });
});

it('a shape is captured the second time and replayed from then on, results equal', async () => {
  const video = new NoiseVideo(60, 8);
  const text = sentence(60);
  const one = { ...limits, inFlight: 1 };
  const pipeline = await addon.openPipeline({ ...one, ...normalisation, device: 0, engines });
  const expected = await plainWindow(video, 0, 8, text);
  const before = addon.simulatedDevice.counters();
  for (let i = 0; i < 6; i++) {
    const [found] = await pipeline.run(batch([video.window(0, 8)], [text])).done;
    expectEqual(found, expected, `run ${i}`);
  }
  const after = addon.simulatedDevice.counters();
  expect(after.graphsCaptured - before.graphsCaptured).toBe(2);
  expect(after.graphLaunches - before.graphLaunches).toBe(10);
  expect(Object.keys(pipeline.lastTimings).sort()).toEqual(
    ['backbone', 'download', 'mask-head', 'preprocess', 'transformer', 'upload'].sort(),
  );
  await pipeline.dispose();
});
