import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import type { NativePipeline, PipelineBatch, PipelineOptions } from '../../../../src/native/tensorrt-addon.js';
import { NoiseVideo, normalisation, plainWindow, sentence, source } from '../../../support/plain-pipeline.js';
import { type SimulatedAddon, simulatedAddon } from '../../../support/simulated-device.js';
import { writeSyntheticEngines } from '../../../support/synthetic-engines.js';
import { limits, runSynthetic } from '../../../support/synthetic-network.js';

let addon: SimulatedAddon;
let folder: string;
let options: PipelineOptions;
/** Stages wait for this. */
let gate: Promise<void> = Promise.resolve();
/** Stages reached since the gate was closed: while it is, one for each batch under way. */
let held = 0;

beforeAll(async () => {
  addon = simulatedAddon();
  addon.setStageRunner(async (call) => {
    held++;
    await gate;
    return runSynthetic(call);
  });
  folder = await mkdtemp(join(tmpdir(), 'rvos-pipeline-'));
  options = { ...limits, ...normalisation, device: 0, engines: await writeSyntheticEngines(folder) };
});
afterAll(() => rm(folder, { recursive: true, force: true }));
afterEach(() => {
  addon.simulatedDevice.limitMemory(2 ** 32);
  expect(addon.simulatedDevice.counters()).toMatchObject({ deviceBytes: 0, pinnedBytes: 0 });
});

const video = new NoiseVideo(1, 60);
const text = sentence(1);

function batch(start: number, count: number, shared = 0, of = video): PipelineBatch {
  return {
    windows: [of.window(start, count, shared)],
    sentences: [{ window: 0, ...text }],
    source: { ...of.size, format: 'rgb', pitch: 3 * of.size.width },
    antialias: true,
    queries: 'best',
  };
}

/** Holds every stage back until the function it gives is called. */
function holdStages(): () => void {
  let open = () => {};
  held = 0;
  gate = new Promise<void>((resolve) => {
    open = resolve;
  });
  return open;
}

async function expectRight(pipeline: NativePipeline, start = 0, count = 8): Promise<void> {
  const [found] = await pipeline.run(batch(start, count)).done;
  expect(found).toEqual(await plainWindow(video, start, count, text));
}

describe('memory', () => {
  it('is what was planned, and the same after 200 windows', async () => {
    const pipeline = await addon.openPipeline(options);
    expect(addon.simulatedDevice.counters()).toMatchObject({
      deviceBytes: pipeline.plan.deviceBytes,
      pinnedBytes: pipeline.plan.pinnedBytes,
    });
    expect(pipeline.plan).toEqual(addon.planMemory(options));
    const windows = async (count: number) => {
      let next = 0;
      const worker = async () => {
        while (next < count) {
          const i = next++;
          const length = [24, 8, 5, 17][i % 4]!;
          await pipeline.run(batch(i % 20, length)).done;
        }
      };
      await Promise.all([worker(), worker(), worker()]);
    };
    await windows(40);
    const before = addon.simulatedDevice.counters();
    const planned = addon.planMemory({ ...options, source });
    expect(before).toMatchObject({ deviceBytes: planned.deviceBytes, pinnedBytes: planned.pinnedBytes });
    const resident = process.memoryUsage().rss;
    await windows(200);
    const { deviceAllocations, pinnedAllocations, deviceBytes, pinnedBytes } = before;
    const same = { deviceAllocations, pinnedAllocations, deviceBytes, pinnedBytes };
    expect(addon.simulatedDevice.counters()).toMatchObject(same);
    expect(process.memoryUsage().rss - resident).toBeLessThan(100 * 2 ** 20);
    await pipeline.dispose();
  });

  it('that is short when a pipeline is opened: OUT_OF_MEMORY, nothing is kept, later it works', async () => {
    const { deviceBytes } = addon.planMemory(options);
    for (const share of [0.1, 0.5, 0.99]) {
      addon.simulatedDevice.limitMemory(Math.floor(deviceBytes * share));
      await expect(addon.openPipeline(options)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
      expect(addon.simulatedDevice.counters()).toMatchObject({ deviceBytes: 0, pinnedBytes: 0 });
    }
    addon.simulatedDevice.limitMemory(2 ** 32);
    const pipeline = await addon.openPipeline(options);
    await expectRight(pipeline);
    await pipeline.dispose();
  });

  it('that is short for larger frames: OUT_OF_MEMORY for those, others go on', async () => {
    const large = new NoiseVideo(2, 1, { height: 600, width: 800 });
    const pipeline = await addon.openPipeline(options);
    // Both slots take their memory: the first batch stays in its stages until the second is in its own.
    const open = holdStages();
    const both = Promise.all([expectRight(pipeline), expectRight(pipeline)]);
    await vi.waitFor(() => expect(held).toBe(2));
    open();
    await both;
    addon.simulatedDevice.limitMemory(addon.simulatedDevice.counters().deviceBytes + 1000);
    const failed = pipeline.run(batch(0, 1, 0, large)).done;
    await expect(failed).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
      message: expect.stringMatching(/^cudaMalloc: /),
    });
    await Promise.all([expectRight(pipeline), expectRight(pipeline, 5), expectRight(pipeline, 6)]);
    addon.simulatedDevice.limitMemory(2 ** 32);
    const [found] = await pipeline.run(batch(0, 1, 0, large)).done;
    expect(found).toEqual(await plainWindow(large, 0, 1, text));
    await pipeline.dispose();
  });

  it('is freed by the finaliser when nobody disposed', async () => {
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    await (async () => {
      const pipeline = await addon.openPipeline(options);
      await expectRight(pipeline);
    })();
    for (let i = 0; i < 50 && addon.simulatedDevice.counters().deviceBytes > 0; i++) {
      await delay(10);
      collect();
    }
    expect(addon.simulatedDevice.counters().deviceBytes).toBe(0);
  });
});

describe('an end', () => {
  it('cancelled batches fail: those that wait at once, those under way when they are done', async () => {
    const pipeline = await addon.openPipeline({ ...options, inFlight: 1 });
    const open = holdStages();
    const running = pipeline.run(batch(0, 8));
    await delay(20);
    const waiting = pipeline.run(batch(8, 8));
    const dependent = pipeline.run(batch(14, 8, 2));
    const later = pipeline.run(batch(20, 8));
    pipeline.cancel(waiting.id);
    await expect(waiting.done).rejects.toMatchObject({ code: 'CANCELLED' });
    pipeline.cancel(running.id);
    pipeline.cancel(running.id);
    pipeline.cancel(12345);
    open();
    await expect(running.done).rejects.toMatchObject({ code: 'CANCELLED' });
    await expect(dependent.done).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringMatching(/was not run/),
    });
    expect((await later.done)[0]).toEqual(await plainWindow(video, 20, 8, text));
    await pipeline.dispose();
  });

  it('dispose lets go what waits, finishes what is under way, and may be called again', async () => {
    const pipeline = await addon.openPipeline({ ...options, inFlight: 1 });
    const open = holdStages();
    const running = pipeline.run(batch(0, 8));
    await delay(20);
    const waiting = pipeline.run(batch(8, 8));
    const ends = [pipeline.dispose(), pipeline.dispose()];
    await expect(waiting.done).rejects.toMatchObject({ code: 'DISPOSED' });
    expect(() => pipeline.run(batch(0, 8))).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
    open();
    expect((await running.done)[0]).toEqual(await plainWindow(video, 0, 8, text));
    await Promise.all(ends);
    await pipeline.dispose();
    pipeline.forget(1);
    pipeline.cancel(1);
    expect(() => pipeline.run(batch(0, 8))).toThrow(expect.objectContaining({ code: 'DISPOSED' }));
  });

  it('of a stage that fails is an error of its batch', async () => {
    const pipeline = await addon.openPipeline(options);
    const refused = Promise.reject(new Error('no such luck'));
    refused.catch(() => undefined);
    gate = refused;
    await expect(pipeline.run(batch(0, 8)).done).rejects.toMatchObject({ code: 'DEVICE_LOST' });
    gate = Promise.resolve();
    addon.simulatedDevice.recover();
    await expectRight(pipeline);
    await pipeline.dispose();
  });
});

describe('frames that are not on the GPU', () => {
  it.each([
    ['of no window', (pipeline: NativePipeline) => pipeline.run(batch(18, 24, 6))],
    [
      'of a stream that was forgotten',
      async (pipeline: NativePipeline) => {
        await pipeline.run(batch(0, 24)).done;
        pipeline.forget(video.stream);
        return pipeline.run(batch(18, 24, 6));
      },
    ],
    [
      'of the stream used longest ago',
      async (pipeline: NativePipeline) => {
        await pipeline.run(batch(0, 24)).done;
        for (let i = 0; i < limits.streams; i++) await pipeline.run(batch(0, 1, 0, new NoiseVideo(100 + i, 1))).done;
        return pipeline.run(batch(18, 24, 6));
      },
    ],
    [
      'of other places',
      async (pipeline: NativePipeline) => {
        await pipeline.run(batch(0, 24)).done;
        return pipeline.run(batch(20, 24, 6));
      },
    ],
    [
      'made with another filter',
      async (pipeline: NativePipeline) => {
        await pipeline.run({ ...batch(0, 24), antialias: false }).done;
        return pipeline.run(batch(18, 24, 6));
      },
    ],
  ])('%s: BAD_ARGUMENT, and the next window works', async (_, attempt) => {
    const pipeline = await addon.openPipeline(options);
    await expect((async () => attempt(pipeline))()).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringMatching(/not on the GPU/),
    });
    await expectRight(pipeline);
    await pipeline.dispose();
  });
});

it('a stage that cannot be captured runs without a graph, and says so once', async () => {
  const pipeline = await addon.openPipeline({ ...options, inFlight: 1 });
  const warnings: string[] = [];
  const listen = (warning: Error) => warnings.push(warning.message);
  process.on('warning', listen);
  await expectRight(pipeline);
  addon.simulatedDevice.failCaptures(2);
  const before = addon.simulatedDevice.counters();
  for (let i = 0; i < 3; i++) await expectRight(pipeline);
  await delay(10);
  process.off('warning', listen);
  expect(addon.simulatedDevice.counters().graphLaunches).toBe(before.graphLaunches);
  expect(warnings).toEqual([
    expect.stringMatching(/^rvos: the backbone runs without a CUDA graph/),
    expect.stringMatching(/^rvos: the transformer runs without a CUDA graph/),
  ]);
  await pipeline.dispose();
});

it.each([
  ['is damaged', 'rvos simulated engine 1\nfolder x\ngraph 12\nshort'],
  ['is something else', 'PK\u0003\u0004'],
  ['is empty', ''],
])('an engine that %s is BAD_ENGINE', async (_, contents) => {
  const path = join(folder, 'bad.engine');
  await writeFile(path, contents);
  const engines = { ...options.engines, transformer: path };
  await expect(addon.openPipeline({ ...options, engines })).rejects.toMatchObject({ code: 'BAD_ENGINE' });
  const missing = { ...options.engines, short: join(folder, 'none.engine') };
  await expect(addon.openPipeline({ ...options, engines: missing })).rejects.toMatchObject({ code: 'BAD_ENGINE' });
  const swapped = { ...options.engines, short: options.engines.transformer };
  await expect(addon.openPipeline({ ...options, engines: swapped })).rejects.toMatchObject({ code: 'BAD_ENGINE' });
});
