import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frames, TextFeatures } from '../../src/backends/backend.js';
import { StoredEngines } from '../../src/backends/tensorrt/stored-engines.js';
import type { TensorRtBackend } from '../../src/backends/tensorrt.js';
import { enginePaths } from '../../src/engines/engine-folder.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import type { NativePipeline } from '../../src/native/tensorrt-addon.js';
import { enginesOf, type Gpu, openBackend, openGpu, openPipeline } from './gpu.js';
import { caseSizes, enginesFolder, openGolden, videoRule, videoSize } from './models.js';

let gpu: Gpu;
let model: ModelFolder;
let scratch: string;
beforeAll(async () => {
  gpu = await openGpu();
  model = await openGolden();
  scratch = await mkdtemp(join(tmpdir(), 'rvos-gpu-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const code = (name: string) =>
  expect.objectContaining({ name: name === 'ABORTED' ? 'AbortError' : 'RvosError', code: name });
const options = { preprocessing: videoRule };

function windowOf(stream: number, start = 0, count = 24): Frames {
  const frames = Array.from({ length: count }, (_, i) => {
    const data = Uint8Array.from({ length: 64 * 96 * 3 }, (_, k) => (k * 7 + (start + i) * 31) & 255);
    return { width: 96, height: 64, data, time: i };
  });
  return { stream, start, frames };
}

async function textsOf(backend: TensorRtBackend): Promise<TextFeatures[]> {
  const tokenizer = await model.tokenizer();
  return backend.encodeText([tokenizer.prepare('a red ball')]);
}

describe('an abort', () => {
  it('takes effect at once in the middle of windows; the next ones are right', async () => {
    await using backend = openBackend(gpu, model);
    const texts = await textsOf(backend);
    const expected = await backend.segment(windowOf(1), texts, options);
    for (let i = 0; i < 20; i++) {
      const controller = new AbortController();
      const calls = [2, 3, 4, 5].map((stream) =>
        backend.segment(windowOf(stream), texts, { ...options, signal: controller.signal }).catch((error) => error),
      );
      await new Promise((resolve) => setTimeout(resolve, i % 4));
      const aborted = performance.now();
      controller.abort();
      const outcomes = await Promise.all(calls);
      expect(performance.now() - aborted).toBeLessThan(50);
      expect(outcomes.some((outcome) => outcome instanceof Error)).toBe(true);
    }
    expect(await backend.segment(windowOf(6), texts, options)).toEqual(expected);
  });

  it('by dispose lets the backend be opened again', async () => {
    const results = [];
    for (let i = 0; i < 3; i++) {
      const backend = openBackend(gpu, model);
      const texts = await textsOf(backend);
      results.push(await backend.segment(windowOf(1), texts, options));
      const running = backend.segment(windowOf(2), texts, options);
      const outcome = expect(running).rejects.toThrow(code('BACKEND_FAILED'));
      await backend.dispose();
      await outcome;
    }
    expect(results[1]).toEqual(results[0]);
    expect(results[2]).toEqual(results[0]);
  });
});

describe('workers', () => {
  it('two at once and the main thread give the same; one that is ended takes nothing with it', async () => {
    const dist = new URL('../../dist/', import.meta.url).href;
    const source = `
      import { parentPort, workerData } from 'node:worker_threads';
      import { Segmenter } from '${dist}index.js';
      const { model, engines, endless } = workerData;
      const segmenter = await Segmenter.open({ model, engines, backend: 'tensorrt' });
      const frames = Array.from({ length: 60 }, (_, i) => ({ width: 96, height: 64,
        data: Uint8Array.from({ length: 18432 }, (_, k) => (k * 7 + i * 31) & 255) }));
      for (let round = 0; ; round++) {
        let sum = 0;
        for await (const { masks } of segmenter.segmentFrames(frames, ['a red ball'], ${JSON.stringify(videoRule)})) {
          for (const byte of masks[0].bits) sum = (sum * 31 + byte) >>> 0;
        }
        parentPort.postMessage({ round, sum });
        if (round === 4 && !endless) break;
      }
      await segmenter.dispose();`;
    const start = (endless: boolean) =>
      new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), {
        workerData: { model: model.path, engines: enginesFolder, endless },
      });
    const sums: number[] = [];
    const ended = (worker: Worker) =>
      new Promise<number>((resolve, reject) => {
        worker.on('message', ({ sum }: { sum: number }) => sums.push(sum));
        worker.once('error', reject);
        worker.once('exit', resolve);
      });
    const workers = Promise.allSettled([start(false), start(false)].map(ended));
    const endless = start(true);
    const killed = ended(endless);
    // A worker that fails before it has said anything says why, instead of being waited for.
    // biome-ignore lint/plugin: both are promises of this test alone
    await Promise.race([new Promise((resolve) => endless.once('message', resolve)), killed]);
    await endless.terminate();
    await killed;
    const finished = { status: 'fulfilled', value: 0 };
    expect(await workers).toEqual([finished, finished]);
    expect(sums.length).toBeGreaterThanOrEqual(10);
    expect(new Set(sums).size).toBe(1);
    await using backend = openBackend(gpu, model);
    expect((await backend.segment(windowOf(1), await textsOf(backend), options)).sentences).toHaveLength(1);
  });
});

describe('wrong engines', () => {
  /** A copy of the engines with one thing changed. */
  async function changed(how: (paths: { engine: string; manifest: string }) => Promise<void>): Promise<StoredEngines> {
    const root = await mkdtemp(join(scratch, 'engines-'));
    await cp(enginesFolder, root, { recursive: true });
    const store = new EngineStore(root);
    for (const folder of await store.keyFolders(model)) {
      await how(enginePaths(folder, `transformer-${videoSize.height}x${videoSize.width}`));
    }
    return new StoredEngines({ model, store, host: gpu.host });
  }

  async function editManifest(path: string, edit: (manifest: Record<string, never>) => unknown): Promise<void> {
    const manifest = JSON.parse(await readFile(path, 'utf8'));
    await writeFile(path, JSON.stringify({ ...manifest, ...(edit(manifest) as object) }));
  }

  it.each<[string, (paths: { engine: string; manifest: string }) => Promise<void>, RegExp]>([
    [
      'a damaged file',
      async ({ engine }) => {
        const bytes = await readFile(engine);
        bytes[bytes.length >> 1]! ^= 1;
        await writeFile(engine, bytes);
      },
      /is damaged/,
    ],
    [
      'a truncated file',
      async ({ engine }) => writeFile(engine, (await readFile(engine)).subarray(0, 1000)),
      /is damaged/,
    ],
    [
      'another version',
      ({ manifest }) =>
        editManifest(manifest, ({ tensorrt }) => ({ tensorrt: { ...(tensorrt as object), version: '9.9.9' } })),
      /9\.9\.9/,
    ],
    [
      'another GPU',
      ({ manifest }) =>
        editManifest(manifest, () => ({ target: { kind: 'device', name: 'Another GPU', compute_capability: 70 } })),
      /Another GPU/,
    ],
    [
      'another model',
      ({ manifest }) => editManifest(manifest, () => ({ model: { name: 'other', weights_sha256: '0'.repeat(64) } })),
      /another model/,
    ],
  ])('%s: refused with the command that builds it, before TensorRT sees it', async (_, how, message) => {
    await using backend = openBackend(gpu, model, { engines: await changed(how) });
    const texts = await textsOf(backend);
    const refused = backend.segment(windowOf(1), texts, options);
    await expect(refused).rejects.toThrow(message);
    await expect(refused).rejects.toMatchObject({ code: 'BAD_ENGINE', hint: expect.stringContaining('rvos build') });
  });

  it('bytes that are no engine, hash and all, are an error of TensorRT and nothing worse', async () => {
    const path = join(scratch, 'noise.engine');
    await writeFile(
      path,
      Uint8Array.from({ length: 4096 }, (_, i) => (i * 37) & 255),
    );
    const { short } = await enginesOf(gpu, model).size(videoSize);
    const opening = openPipeline(gpu, model, videoSize, {
      engines: { short: path, long: short.path, transformer: short.path },
    });
    await expect(opening).rejects.toMatchObject({ code: 'BAD_ENGINE' });
  });
});

describe('out of memory', () => {
  it('is a typed error, and the backend works on', async () => {
    await using backend = openBackend(gpu, model);
    const texts = await textsOf(backend);
    const expected = await backend.segment(windowOf(1), texts, options);
    // Each holds the frames of a thousand videos: two gigabytes.
    const opened: NativePipeline[] = [];
    const fill = async () => {
      for (;;) opened.push(await openPipeline(gpu, model, caseSizes.a_T8_96x160, { streams: 1024, inFlight: 16 }));
    };
    try {
      await expect(fill()).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
      expect(opened.length * opened[0]!.plan.deviceBytes).toBeLessThanOrEqual(gpu.device.totalBytes);
      // Its own memory was planned once.
      expect(await backend.segment(windowOf(2), texts, options)).toEqual(expected);
    } finally {
      for (const pipeline of opened) await pipeline.dispose();
    }
    expect(await backend.segment(windowOf(3), texts, options)).toEqual(expected);
  });
});
