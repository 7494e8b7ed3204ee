import { execFile, fork } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Frames, TextFeatures } from '../../src/backends/backend.js';
import { CpuBackend } from '../../src/backends/cpu/cpu-backend.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { goldenModel } from '../support/golden-model.js';
import { alive } from '../support/processes.js';
import { bytesOf, goldenPath, readGoldens } from '../support/safetensors.js';

let model: ModelFolder;
let scratch: string;
let remove: () => Promise<void>;
const code = (name: string) =>
  expect.objectContaining({ name: name === 'ABORTED' ? 'AbortError' : 'RvosError', code: name });
const small = { shortSide: 64, longSide: 120 };

beforeAll(async () => {
  const golden = await goldenModel();
  ({ scratch, remove } = golden);
  model = await openModelFolder(golden.folder);
});
afterAll(() => remove());

const clip: RgbFrame[] = (() => {
  const frames = bytesOf(readGoldens(goldenPath('e2e/e2e.safetensors')), 'frames');
  const size = 64 * 96 * 3;
  return Array.from({ length: 40 }, (_, i) => ({
    width: 96,
    height: 64,
    data: frames.subarray(i * size, (i + 1) * size),
    time: i / 12,
  }));
})();

function windowOf(stream: number, start: number, end: number): Frames {
  return { stream, start, frames: clip.slice(start, end) };
}

async function encode(backend: CpuBackend, ...texts: string[]): Promise<TextFeatures[]> {
  const tokenizer = await model.tokenizer();
  return backend.encodeText(texts.map((text) => tokenizer.prepare(text)));
}

describe('the onnxruntime backend', () => {
  it('gives the same masks whether shared frames were sent before or come anew', async () => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball', 'the white car');
    const options = { preprocessing: small };
    await backend.segment(windowOf(1, 0, 24), texts, options);
    const following = await backend.segment(windowOf(1, 18, 40), texts, options);
    const tail = await backend.segment(windowOf(1, 36, 40), texts, options);
    const anew = await backend.segment(windowOf(2, 18, 40), texts, options);
    const tailAnew = await backend.segment(windowOf(3, 36, 40), texts, options);
    expect(following).toEqual(anew);
    expect(tail).toEqual(tailAnew);
    expect(following.sentences[0]!.masks).toHaveLength(22);
  });

  it('lets windows of several videos take turns', async () => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball');
    const options = { preprocessing: small };
    const streams = [1, 2, 3, 4];
    await Promise.all(streams.map((stream) => backend.segment(windowOf(stream, 0, 8), texts, options)));
    const second = await Promise.all(streams.map((stream) => backend.segment(windowOf(stream, 6, 14), texts, options)));
    for (const result of second) expect(result).toEqual(second[0]);
  });

  it('encodes a sentence once, however often it is asked for', async () => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const [first, second] = await encode(backend, 'a red ball', 'the white car on the very long road');
    const again = await encode(backend, 'the white car on the very long road', 'a red ball', 'a red ball');
    expect(again[0]).toBe(second);
    expect(again[1]).toBe(first);
    expect(again[2]).toBe(first);
    const [alone] = await (async () => {
      await using other = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
      return await encode(other, 'a red ball');
    })();
    const worst = Math.max(...alone!.features.map((value, i) => Math.abs(value - first!.features[i]!)));
    expect(worst).toBeLessThan(1e-5);
  });

  it('gives masks of all object queries, the chosen one among them, and of chosen frames alone', async () => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball', 'the white car');
    const preprocessing = small;
    const best = await backend.segment(windowOf(1, 0, 9), texts, { preprocessing });
    const all = await backend.segment(windowOf(1, 0, 9), texts, { preprocessing, queries: 'all' });
    all.sentences.forEach((sentence, i) => {
      const { masks, objectQuery, scores } = sentence;
      expect(masks).toHaveLength(scores.length * 9);
      expect(masks.slice(objectQuery * 9, objectQuery * 9 + 9)).toEqual(best.sentences[i]!.masks);
      expect(scores[objectQuery]).toBe(Math.max(...scores));
    });
    const centre = await backend.segment(windowOf(1, 0, 9), texts, { preprocessing, frames: [4], queries: 'all' });
    centre.sentences.forEach((sentence, i) => {
      const { scores, masks } = sentence;
      // The backbone has seen all nine frames; the frame kept has the same masks, its own scores.
      expect(masks).toEqual(Array.from(scores, (_, query) => all.sentences[i]!.masks[query * 9 + 4]));
    });
  });

  it('links to the object query whose masks overlap the earlier ones most, and to none that does not', async () => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball');
    const preprocessing = { shortSide: 128, longSide: 240 };
    const all = await backend.segment(windowOf(1, 0, 8), texts, { preprocessing, queries: 'all' });
    const { masks, objectQuery, scores } = all.sentences[0]!;
    for (const wanted of scores.keys()) {
      const earlier = masks.slice(wanted * 8, wanted * 8 + 3);
      const area = earlier.reduce((sum, { bits }) => sum + bits.reduce((n, byte) => n + byte, 0), 0);
      if (area === 0) continue;
      const linked = await backend.segment(windowOf(1, 0, 8), texts, { preprocessing, link: [earlier] });
      const { objectQuery: chosen, score } = linked.sentences[0]!;
      // Another query's masks may be the same on these frames; then either is right.
      expect(linked.sentences[0]!.masks.slice(0, 3)).toEqual(masks.slice(chosen * 8, chosen * 8 + 3));
      expect(score).toBe(scores[chosen]);
    }
    const checkered = clip.slice(0, 3).map(() => ({ width: 96, height: 64, bits: new Uint8Array(768).fill(0x01) }));
    const unlinked = await backend.segment(windowOf(1, 0, 8), texts, { preprocessing, link: [checkered] });
    expect(unlinked.sentences[0]!.objectQuery).toBe(objectQuery);
  });

  it.each([
    ['a window without frames', { stream: 1, start: 0, frames: [] }, 'NO_FRAMES'],
    [
      'frames of two sizes',
      { stream: 1, start: 0, frames: [clip[0]!, { ...clip[1]!, width: 64, height: 96 }] },
      'BAD_FRAME_SIZE',
    ],
  ])('refuses %s', async (_, window, expected) => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 1 });
    const texts = await encode(backend, 'a red ball');
    await expect(backend.segment(window, texts)).rejects.toThrow(code(expected));
  });
});

describe('the child process', () => {
  it('ends within a second of an abort in the middle of a window; the next call starts another', async () => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball', 'the white car');
    const pid = backend.pid!;
    const controller = new AbortController();
    const running = backend.segment(windowOf(1, 0, 24), texts, { signal: controller.signal });
    const settled = running.catch((error: unknown) => ({ error, at: performance.now() }));
    await sleep(700); // the window takes seconds
    const aborted = performance.now();
    controller.abort();
    const outcome = await settled;
    expect(outcome).toMatchObject({ error: code('ABORTED') });
    expect((outcome as { at: number }).at - aborted).toBeLessThan(1000);
    expect(alive(pid)).toBe(false);
    const again = await backend.segment(windowOf(1, 0, 3), texts, { preprocessing: small });
    expect(again.sentences).toHaveLength(2);
    expect(backend.pid).not.toBe(pid);
  });

  it('leaves the queue at once when a waiting call is aborted, and does not disturb the one under way', async () => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball');
    const pid = backend.pid;
    const controller = new AbortController();
    const first = backend.segment(windowOf(1, 0, 8), texts);
    const second = backend.segment(windowOf(2, 0, 8), texts, { signal: controller.signal });
    controller.abort();
    await expect(second).rejects.toThrow(code('ABORTED'));
    expect((await first).sentences).toHaveLength(1);
    expect(backend.pid).toBe(pid);
  });

  it.each([
    ['SIGKILL', 'OUT_OF_MEMORY'],
    ['SIGSEGV', 'BACKEND_FAILED'],
  ] as const)('that dies by %s while it works gives %s, and the next call starts another', async (signal, expected) => {
    await using backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball');
    const running = backend.segment(windowOf(1, 0, 24), texts);
    const outcome = expect(running).rejects.toThrow(code(expected));
    await sleep(500);
    process.kill(backend.pid!, signal);
    await outcome;
    expect((await backend.segment(windowOf(1, 18, 24), texts, { preprocessing: small })).sentences).toHaveLength(1);
  });

  it('is gone after dispose, and calls fail from then on', async () => {
    const backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
    const texts = await encode(backend, 'a red ball');
    const pid = backend.pid!;
    await backend.dispose();
    expect(alive(pid)).toBe(false);
    await expect(backend.segment(windowOf(1, 0, 2), texts)).rejects.toThrow(code('BACKEND_FAILED'));
  });

  it('ends when its parent is killed, even in the middle of a window', async () => {
    const script = join(scratch, 'parent.mjs');
    const dist = new URL('../../dist/', import.meta.url).href;
    await writeFile(
      script,
      `import { CpuBackend } from '${dist}backends/cpu/cpu-backend.js';
       import { openModelFolder } from '${dist}model/model-folder.js';
       const model = await openModelFolder(${JSON.stringify(model.path)});
       const backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 2 });
       const tokenizer = await model.tokenizer();
       const texts = await backend.encodeText([tokenizer.prepare('a red ball')]);
       const frames = Array.from({ length: 24 }, (_, i) => ({ width: 96, height: 64, data: new Uint8Array(18432).fill(i), time: i }));
       const running = backend.segment({ stream: 1, start: 0, frames }, texts);
       setTimeout(() => process.send(backend.pid), 700);
       await running;
       process.send(0);`,
    );
    const parent = fork(script, [], { execArgv: [] });
    const [pid] = (await once(parent, 'message')) as [number];
    expect(pid).toBeGreaterThan(0);
    expect(alive(pid)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(alive(pid)).toBe(false), { timeout: 5000, interval: 50 });
  });

  it('does not keep a program alive that forgets to dispose', async () => {
    const dist = new URL('../../dist/', import.meta.url).href;
    const source = `
      import { CpuBackend } from '${dist}backends/cpu/cpu-backend.js';
      import { openModelFolder } from '${dist}model/model-folder.js';
      const model = await openModelFolder(${JSON.stringify(model.path)});
      const backend = new CpuBackend({ runtime: 'onnxruntime', model, threads: 1 });
      const tokenizer = await model.tokenizer();
      await backend.encodeText([tokenizer.prepare('a red ball')]);
      console.log(backend.pid);`;
    const stdout = await new Promise<string>((resolve, reject) => {
      const args = ['--input-type=module', '-e', source];
      execFile(process.execPath, args, { timeout: 20_000 }, (error, out) => (error ? reject(error) : resolve(out)));
    });
    const pid = Number(stdout);
    expect(pid).toBeGreaterThan(0);
    await vi.waitFor(() => expect(alive(pid)).toBe(false), { timeout: 5000, interval: 50 });
  });
});
