import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Frames } from '../../../src/backends/backend.js';
import { CpuBackend, type CpuBackendOptions } from '../../../src/backends/cpu/cpu-backend.js';
import { processor } from '../../../src/backends/cpu/processor.js';
import { type ModelFolder, openModelFolder } from '../../../src/model/model-folder.js';
import { goldenModel } from '../../support/golden-model.js';
import { overlap } from '../../support/mask-overlap.js';
import { openVinoLibrary } from '../../support/openvino.js';
import { alive } from '../../support/processes.js';
import { bytesOf, goldenPath, readGoldens } from '../../support/safetensors.js';

let library: string;
let path: string;
let cacheFolder: string;
let model: ModelFolder;
let remove: () => Promise<void>;
const code = (name: string) =>
  expect.objectContaining({ name: name === 'ABORTED' ? 'AbortError' : 'RvosError', code: name });
const preprocessing = { shortSide: 64, longSide: 120 };

beforeAll(async () => {
  library = openVinoLibrary();
  const golden = await goldenModel();
  ({ remove, folder: path } = golden);
  cacheFolder = await mkdtemp(join(tmpdir(), 'rvos-openvino-'));
  model = await openModelFolder(path, { cacheFolder });
});
afterAll(async () => {
  await remove();
  await rm(cacheFolder, { recursive: true });
});

function windowOf(stream: number, start: number, end: number): Frames {
  const bytes = bytesOf(readGoldens(goldenPath('e2e/e2e.safetensors')), 'frames');
  const size = 64 * 96 * 3;
  const frames = Array.from({ length: end - start }, (_, i) => ({
    width: 96,
    height: 64,
    data: bytes.subarray((start + i) * size, (start + i + 1) * size),
    time: (start + i) / 12,
  }));
  return { stream, start, frames };
}

async function texts(backend: CpuBackend, ...sentences: string[]) {
  const tokenizer = await model.tokenizer();
  return backend.encodeText(sentences.map((sentence) => tokenizer.prepare(sentence)));
}

const open = (options: Partial<CpuBackendOptions> = {}) =>
  new CpuBackend({ runtime: 'openvino', model, threads: 2, precision: 'fp32', library, ...options });

describe('the openvino backend', () => {
  it('gives the masks of ONNX Runtime: windows, tails, frames and queries that are asked for, links', async () => {
    await using openvino = open();
    await using onnxruntime = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const sentences = ['a red ball', 'the white car on the very long road that leads beyond the hills to the sea'];
    const [ours, theirs] = await Promise.all([texts(openvino, ...sentences), texts(onnxruntime, ...sentences)]);
    const shared = { preprocessing };
    const earlier = (await onnxruntime.segment(windowOf(9, 0, 8), theirs, shared)).sentences.map(({ masks }) => masks);
    for (const [window, options] of [
      [windowOf(1, 0, 24), shared],
      [windowOf(1, 18, 40), shared],
      [windowOf(1, 36, 40), shared],
      [windowOf(2, 0, 10), { ...shared, frames: [4], queries: 'all' }],
      [windowOf(3, 0, 8), { ...shared, link: earlier }],
    ] as const) {
      const found = await openvino.segment(window, ours, options);
      const expected = await onnxruntime.segment(window, theirs, options);
      for (const [i, sentence] of expected.sentences.entries()) {
        const other = found.sentences[i]!;
        expect(other.objectQuery).toBe(sentence.objectQuery);
        expect(other.score).toBeCloseTo(sentence.score, 4);
        expect(overlap(other.masks, sentence.masks)).toBeGreaterThan(0.999);
      }
    }
  });

  it('ends a window at once when it is aborted; the child stays and gives the next window what it should', async () => {
    await using backend = open();
    const features = await texts(backend, 'a red ball');
    const large = { preprocessing: { shortSide: 360, longSide: 640 } };
    const expected = await backend.segment(windowOf(1, 0, 24), features, large);
    const pid = backend.pid!;
    // At several moments, of which some hit the sending of frames, others a run.
    for (const milliseconds of [1, 40, 150, 400]) {
      const controller = new AbortController();
      const running = backend.segment(windowOf(2, 0, 24), features, { ...large, signal: controller.signal });
      const outcome = running.then(
        () => undefined,
        (error: unknown) => ({ error, at: performance.now() }),
      );
      await sleep(milliseconds);
      const aborted = performance.now();
      controller.abort();
      const ended = await outcome;
      expect(ended, `${milliseconds} ms`).toMatchObject({ error: code('ABORTED') });
      expect(ended!.at - aborted).toBeLessThan(1000);
      expect(backend.pid).toBe(pid);
    }
    expect(await backend.segment(windowOf(2, 0, 24), features, large)).toEqual(expected);
    expect(backend.pid).toBe(pid);
    expect(alive(pid)).toBe(true);
  });

  it('runs the short window at the end of a video on the graph that is open, with equal results', async () => {
    const compiled = async () => (await readdir(join(cacheFolder, 'openvino'))).length;
    await using backend = open();
    const features = await texts(backend, 'a red ball');
    const size = { preprocessing: { shortSide: 48, longSide: 90 } };
    await backend.segment(windowOf(1, 0, 24), features, size);
    const before = await compiled();
    const tail = await backend.segment(windowOf(1, 18, 23), features, size);
    expect(await compiled()).toBe(before);
    await using other = open();
    const alone = await other.segment(windowOf(1, 18, 23), await texts(other, 'a red ball'), size);
    expect(await compiled()).toBe(before + 1);
    expect(overlap(tail.sentences[0]!.masks, alone.sentences[0]!.masks)).toBeGreaterThan(0.999);
  });
});

describe('compiled models', () => {
  const size = { preprocessing: { shortSide: 40, longSide: 80 } };
  async function segmentOnce(from: ModelFolder): Promise<number> {
    await using backend = open({ model: from });
    const features = await texts(backend, 'a red ball');
    const began = performance.now();
    await backend.segment(windowOf(1, 0, 6), features, size);
    return performance.now() - began;
  }

  it('are kept, and a damaged one is found out and made again', async () => {
    const own = await mkdtemp(join(tmpdir(), 'rvos-compiled-'));
    try {
      const from = await openModelFolder(path, { cacheFolder: own });
      await segmentOnce(from);
      const entries = await readdir(join(own, 'openvino'));
      expect(entries).toHaveLength(2);
      const blobs = entries.map((entry) => join(own, 'openvino', entry, 'model.blob'));
      const times = await Promise.all(blobs.map(async (blob) => (await stat(blob)).mtimeMs));
      await segmentOnce(from);
      expect(await Promise.all(blobs.map(async (blob) => (await stat(blob)).mtimeMs))).toEqual(times);
      const whole = await readFile(blobs[0]!);
      const damaged = Uint8Array.from(whole);
      damaged.fill(0xff, Math.floor(damaged.length / 2), Math.floor(damaged.length / 2) + 5000);
      await writeFile(blobs[0]!, damaged);
      await writeFile(blobs[1]!, whole.subarray(0, 1000));
      await segmentOnce(from);
      for (const blob of blobs) expect((await readFile(blob)).length).toBeGreaterThan(1000);
      expect((await readFile(blobs[0]!)).equals(damaged)).toBe(false);
    } finally {
      await rm(own, { recursive: true });
    }
  });

  it('are done without where the cache cannot be written to', async () => {
    const file = join(cacheFolder, 'file');
    await writeFile(file, '');
    expect(await segmentOnce(await openModelFolder(path, { cacheFolder: join(file, 'below') }))).toBeGreaterThan(0);
  });
});

describe('bf16', () => {
  const { bfloat16 } = processor();

  const wanted = 'is what the backend says it computes in, and keeps the object query';
  it(bfloat16 ? wanted : 'is never taken for something else where the processor lacks it', async () => {
    await using bf16 = open({ precision: 'bf16' });
    if (!bfloat16) {
      const asked = texts(bf16, 'a red ball').then((text) => bf16.segment(windowOf(1, 0, 12), text, { preprocessing }));
      await expect(asked).rejects.toThrow(/told to compute in bf16 and took f32/);
      return;
    }
    await using fp32 = open();
    expect([bf16.precision, fp32.precision]).toEqual(['bf16', 'fp32']);
    const window = windowOf(1, 0, 12);
    const [a, b] = await Promise.all(
      [bf16, fp32].map(async (backend) =>
        backend.segment(window, await texts(backend, 'a red ball'), { preprocessing }),
      ),
    );
    expect(a!.sentences[0]!.objectQuery).toBe(b!.sentences[0]!.objectQuery);
    expect(a!.sentences[0]!.score).not.toBe(b!.sentences[0]!.score);
    expect(overlap(a!.sentences[0]!.masks, b!.sentences[0]!.masks)).toBeGreaterThan(0.97);
  });
});
