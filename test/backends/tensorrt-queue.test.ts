import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import type { Frames, SegmentOptions, TextFeatures } from '../../src/backends/backend.js';
import { TensorRtBackend, type TensorRtOptions } from '../../src/backends/tensorrt.js';
import { RvosError } from '../../src/errors.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import { FakeAddon, type FakePipeline, fakeEngines, nativeError } from '../support/fake-tensorrt.js';
import { openGoldenModel } from '../support/golden-model.js';

let model: ModelFolder;
let remove: () => Promise<void>;
beforeAll(async () => {
  ({ model, remove } = await openGoldenModel());
});
afterAll(() => remove());

const code = (name: string) =>
  expect.objectContaining({ name: name === 'ABORTED' ? 'AbortError' : 'RvosError', code: name });
const text: TextFeatures = { tokens: 3, features: new Float32Array(12) };

/** A frame says which one it is: the first byte is its index. */
function windowOf(stream: number, start: number, end: number, width = 8, height = 4): Frames {
  const frames = Array.from({ length: end - start }, (_, i) => {
    return { width, height, data: new Uint8Array(width * height * 3).fill(start + i), time: start + i };
  });
  return { stream, start, frames };
}

function open(addon: FakeAddon, options: Partial<TensorRtOptions> = {}): TensorRtBackend {
  return new TensorRtBackend({ model, addon, device: 0, engines: fakeEngines(), ...options });
}

/** Frames of the masks that a window got, by what their first bytes say. */
async function seen(result: ReturnType<TensorRtBackend['segment']>): Promise<number[]> {
  return (await result).sentences[0]!.masks.map(({ bits }) => bits[0]!);
}

const range = (start: number, end: number) => Array.from({ length: end - start }, (_, i) => start + i);
const turn = () => sleep(5);
const shapes = ({ batches }: FakePipeline) =>
  batches.map(({ batch }) => batch.windows.map(({ stream, start, count, shared }) => [stream, start, count, shared]));

describe('batches', () => {
  it('start at once for a lone window, and hold windows that were asked for together', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    expect(await seen(backend.segment(windowOf(1, 0, 24), [text]))).toEqual(range(0, 24));
    const results = [2, 3, 4].map((stream) => backend.segment(windowOf(stream, 5, 29), [text, text]));
    for (const result of results) expect(await seen(result)).toEqual(range(5, 29));
    expect(shapes(addon.pipelines[0]!)).toEqual([
      [[1, 0, 24, 0]],
      [
        [2, 5, 24, 0],
        [3, 5, 24, 0],
      ],
      [[4, 5, 24, 0]],
    ]);
    expect(addon.pipelines[0]!.batches[1]!.batch.sentences.map(({ window }) => window)).toEqual([0, 0, 1, 1]);
  });

  it('give each sentence its own masks, scores and object query', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    const results = await Promise.all([1, 2].map((stream) => backend.segment(windowOf(stream, 0, 3), [text, text])));
    const marks = results.map(({ sentences }) => sentences.map(({ masks }) => masks[2]!.bits[1]));
    expect(marks).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(results[1]!.sentences[1]).toMatchObject({
      objectQuery: 1,
      score: 0.75,
      scores: Float32Array.of(0.25, 0.75),
    });
    expect(results[1]!.sentences[1]!.masks).toHaveLength(3);
  });

  it('run as many at once as the pipeline does; what waits meanwhile is batched', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const results = [];
    for (const stream of range(1, 8)) {
      results.push(seen(backend.segment(windowOf(stream, 0, 24), [text])));
      await turn();
    }
    const pipeline = addon.pipelines[0]!;
    expect(shapes(pipeline).map((windows) => windows.map(([stream]) => stream))).toEqual([[1], [2]]);
    for (let i = 0; i < 5 && pipeline.batches.length > i; i++) {
      pipeline.batches[i]!.end();
      await turn();
    }
    expect(shapes(pipeline).map((windows) => windows.map(([stream]) => stream))).toEqual([
      [1],
      [2],
      [3, 4],
      [5, 6],
      [7],
    ]);
    await Promise.all(results);
    expect(pipeline.mostRunning).toBe(2);
  });

  it.each<[string, [Frames, SegmentOptions], [Frames, SegmentOptions]]>([
    ['temporal form', [windowOf(1, 0, 8), {}], [windowOf(2, 0, 9), {}]],
    ['frame size', [windowOf(1, 0, 8), {}], [windowOf(2, 0, 8, 16, 8), {}]],
    ['frames kept', [windowOf(1, 0, 8), { frames: [3] }], [windowOf(2, 0, 8), { frames: [4] }]],
    ['queries', [windowOf(1, 0, 8), {}], [windowOf(2, 0, 8), { queries: 'all' }]],
    ['antialias', [windowOf(1, 0, 8), {}], [windowOf(2, 0, 8), { preprocessing: { antialias: false } }]],
  ])('hold no windows of unlike %s', async (_, one, other) => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    await Promise.all([one, other].map(([window, options]) => backend.segment(window, [text], options)));
    expect(addon.pipelines[0]!.batches.map(({ batch }) => batch.windows.length)).toEqual([1, 1]);
  });

  it('hold windows of other lengths of the same form', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    const windows = [windowOf(1, 0, 24), windowOf(2, 0, 9)];
    const results = await Promise.all(windows.map((window) => seen(backend.segment(window, [text]))));
    expect(results).toEqual([range(0, 24), range(0, 9)]);
    expect(addon.pipelines[0]!.batches).toHaveLength(1);
  });

  it('carry frames, kept positions, all queries and earlier masks', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    const { sentences } = await backend.segment(windowOf(1, 0, 9), [text], { frames: [4, 7], queries: 'all' });
    expect(sentences[0]!.masks.map(({ bits }) => bits[0])).toEqual([4, 7, 4, 7]);
    const earlier = [windowOf(1, 0, 2).frames, undefined].map((frames) =>
      frames?.map(({ width, height }) => ({ width, height, bits: Uint8Array.of(1, 2, 3, 4) })),
    );
    await backend.segment(windowOf(1, 0, 9), [text, text], { link: earlier });
    const [first, second] = addon.pipelines[0]!.batches.map(({ batch }) => batch);
    expect(first).toMatchObject({
      keep: [4, 7],
      queries: 'all',
      source: { width: 8, height: 4, format: 'rgb', pitch: 24 },
    });
    expect(second!.keep).toBeUndefined();
    expect(second!.sentences[0]!.link).toEqual(earlier[0]!.map(({ bits }) => bits));
    expect(second!.sentences[1]).not.toHaveProperty('link');
  });
});

describe('frames that windows share', () => {
  it('go to the GPU once, also while the window before is under way', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const first = seen(backend.segment(windowOf(1, 0, 24), [text]));
    await turn();
    const second = seen(backend.segment(windowOf(1, 18, 42), [text]));
    await turn();
    const pipeline = addon.pipelines[0]!;
    expect(shapes(pipeline)).toEqual([[[1, 0, 24, 0]], [[1, 18, 24, 6]]]);
    for (const { end } of pipeline.batches) end();
    expect(await first).toEqual(range(0, 24));
    expect(await second).toEqual(range(18, 42));
  });

  it('are sent anew where they were prepared otherwise, or in another size', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    await backend.segment(windowOf(1, 0, 24), [text]);
    await backend.segment(windowOf(1, 18, 42), [text], { preprocessing: { antialias: false } });
    expect(shapes(addon.pipelines[0]!)[1]).toEqual([[1, 18, 24, 0]]);
  });

  it('are forgotten for the videos unused longest, never for one under way', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    for (const stream of range(1, 12)) await backend.segment(windowOf(stream, 0, 24), [text]);
    const [pipeline] = addon.pipelines;
    const places = pipeline!.options.streams;
    expect(pipeline!.forgotten).toEqual(range(1, 12 - places));
    expect(await seen(backend.segment(windowOf(11, 18, 42), [text]))).toEqual(range(18, 42));
    await Promise.all(range(20, 40).map((stream) => backend.segment(windowOf(stream, 0, 24), [text])));
  });

  it('that did not arrive spoil the next window, which runs again with all its frames', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const first = backend.segment(windowOf(1, 0, 24), [text]);
    const failed = expect(first).rejects.toThrow(code('BACKEND_FAILED'));
    await turn();
    const second = seen(backend.segment(windowOf(1, 18, 42), [text]));
    await turn();
    const pipeline = addon.pipelines[0]!;
    pipeline.batches[0]!.end(nativeError('DEVICE_FAILED', 'an illegal instruction'));
    await failed;
    pipeline.batches[1]!.end();
    await turn();
    expect(shapes(pipeline)[2]).toEqual([[1, 18, 24, 0]]);
    pipeline.batches[2]!.end();
    expect(await second).toEqual(range(18, 42));
  });
});

describe('an abort', () => {
  it('ends a window that waits, and leaves the others alone', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const running = [1, 2, 3].map((stream) => seen(backend.segment(windowOf(stream, 0, 24), [text])));
    await turn();
    const controller = new AbortController();
    const remove = vi.spyOn(controller.signal, 'removeEventListener');
    const add = vi.spyOn(controller.signal, 'addEventListener');
    const waiting = backend.segment(windowOf(4, 0, 8), [text], { signal: controller.signal });
    await turn();
    controller.abort();
    await expect(waiting).rejects.toThrow(code('ABORTED'));
    const pipeline = addon.pipelines[0]!;
    expect(pipeline.cancelled).toEqual([]);
    for (const { end } of pipeline.batches) end();
    for (const result of running) expect(await result).toEqual(range(0, 24));
    expect(pipeline.batches).toHaveLength(2);
    expect(remove.mock.calls.length).toBe(add.mock.calls.length);
  });

  it('ends a window under way at once; its batch is given up and the pipeline goes on', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const controller = new AbortController();
    const running = backend.segment(windowOf(1, 0, 24), [text], { signal: controller.signal });
    await turn();
    controller.abort();
    await expect(running).rejects.toThrow(code('ABORTED'));
    const pipeline = addon.pipelines[0]!;
    expect(pipeline.cancelled).toEqual([0]);
    // The stream's frames may have been written to since: they are sent anew.
    const next = seen(backend.segment(windowOf(1, 18, 42), [text]));
    await turn();
    expect(shapes(pipeline)[1]).toEqual([[1, 18, 24, 0]]);
    pipeline.batches[0]!.end(nativeError('CANCELLED'));
    pipeline.batches[1]!.end();
    expect(await next).toEqual(range(18, 42));
    expect(pipeline.running).toBe(0);
  });

  it('gives up no batch that somebody else waits for', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const controllers = [new AbortController(), new AbortController()];
    const results = controllers.map(({ signal }, i) => backend.segment(windowOf(i, 0, 24), [text], { signal }));
    const outcomes = results.map((result) => result.catch((error: unknown) => error));
    await turn();
    // The next window of stream 0 counts on frames of this batch.
    const following = seen(backend.segment(windowOf(0, 18, 42), [text]));
    await turn();
    const pipeline = addon.pipelines[0]!;
    expect(shapes(pipeline)[1]).toEqual([[0, 18, 24, 6]]);
    for (const controller of controllers) controller.abort();
    expect(await Promise.all(outcomes)).toEqual([code('ABORTED'), code('ABORTED')]);
    expect(pipeline.cancelled).toEqual([]);
    for (const { end } of pipeline.batches) end();
    expect(await following).toEqual(range(18, 42));
  });

  it('ends the wait for engines and for sentences, which still serve the next call', async () => {
    const addon = new FakeAddon({ atOnce: true });
    let ready: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const engines = fakeEngines();
    const slow = {
      ...engines,
      size: (size: Parameters<typeof engines.size>[0]) => gate.then(() => engines.size(size)),
      textEncoder: () => gate.then(() => engines.textEncoder()),
    };
    await using backend = open(addon, { engines: slow });
    const controller = new AbortController();
    const { signal } = controller;
    const waiting = [
      backend.segment(windowOf(1, 0, 3), [text], { signal }),
      backend.encodeText([{ text: 'a', ids: [0, 5, 2] }], { signal }),
    ].map((call) => call.catch((error: unknown) => error));
    await turn();
    controller.abort();
    expect(await Promise.all(waiting)).toEqual([code('ABORTED'), code('ABORTED')]);
    ready();
    expect(await seen(backend.segment(windowOf(1, 0, 3), [text]))).toEqual(range(0, 3));
    expect(addon.pipelines).toHaveLength(1);
    expect(addon.pipelines[0]!.batches).toHaveLength(1);
    const before = backend.segment(windowOf(1, 0, 3), [text], { signal });
    await expect(before).rejects.toThrow(code('ABORTED'));
  });
});

describe('pipelines', () => {
  const sized = (shortSide: number) => ({ preprocessing: { shortSide, longSide: 4 * shortSide } });

  it('are one for each size, opened once, the least recently used one ended for a fifth', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    await Promise.all([40, 40, 60].map((side, i) => backend.segment(windowOf(i, 0, 3), [text], sized(side))));
    expect(addon.pipelines.map(({ options: { height, width } }) => [height, width])).toEqual([
      [40, 80],
      [60, 120],
    ]);
    for (const side of [80, 100, 40]) await backend.segment(windowOf(1, 0, 3), [text], sized(side));
    await backend.segment(windowOf(1, 0, 3), [text], sized(120));
    expect(addon.open.map(({ options }) => options.height).sort((a, b) => a - b)).toEqual([40, 80, 100, 120]);
  });

  it('get the model and the engines', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    await backend.segment(windowOf(1, 0, 3), [text]);
    const { swin, mttr } = model.architecture;
    expect(addon.pipelines[0]!.options).toMatchObject({
      device: 0,
      levelChannels: swin.embed_dim,
      objectQueries: mttr.num_queries,
      kernelSize: mttr.mask_kernels_dim,
      textFeatures: mttr.d_model,
      shortFrames: 8,
      longFrames: 24,
      windows: 2,
      sentences: 8,
      tokens: 64,
      inFlight: 2,
      engines: {
        short: '/engines/short.engine',
        long: '/engines/long.engine',
        transformer: '/engines/transformer.engine',
      },
      mean: model.preprocessing.mean,
      std: model.preprocessing.std,
    });
    expect(backend.windowsInFlight).toBe(4);
  });

  it('make room for one more when memory of the GPU does not suffice', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const first = seen(backend.segment(windowOf(1, 0, 3), [text], sized(40)));
    await turn();
    addon.failures.push(nativeError('OUT_OF_MEMORY', '2 GB are wanted, 1 GB is free'));
    const second = seen(backend.segment(windowOf(2, 0, 3), [text], sized(60)));
    await turn();
    // The first one is in use: it ends when its window is done.
    expect(addon.open.map(({ options }) => options.height)).toEqual([40]);
    addon.pipelines[0]!.batches[0]!.end();
    expect(await first).toEqual(range(0, 3));
    await turn();
    expect(addon.open.map(({ options }) => options.height)).toEqual([60]);
    addon.pipelines[1]!.batches[0]!.end();
    expect(await second).toEqual(range(0, 3));
  });

  it('that cannot be opened give a typed error, and the next call tries again', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon);
    const failures = [
      [nativeError('OUT_OF_MEMORY', 'no room'), 'OUT_OF_MEMORY'],
      [nativeError('BAD_ENGINE', 'not an engine'), 'BAD_ENGINE'],
      [nativeError('LIBRARY_MISSING', 'libnvinfer.so.11 cannot be opened'), 'BACKEND_UNAVAILABLE'],
    ] as const;
    for (const [failure, expected] of failures) {
      addon.failures.push(failure);
      await expect(backend.segment(windowOf(1, 0, 3), [text])).rejects.toThrow(code(expected));
    }
    expect(await seen(backend.segment(windowOf(1, 0, 3), [text]))).toEqual(range(0, 3));
  });

  it('survive a window for which memory does not suffice', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    const failing = backend.segment(windowOf(1, 0, 3), [text]);
    await turn();
    addon.pipelines[0]!.batches[0]!.end(nativeError('OUT_OF_MEMORY', 'no room for masks'));
    await expect(failing).rejects.toThrow(code('OUT_OF_MEMORY'));
    const next = seen(backend.segment(windowOf(1, 0, 3), [text]));
    await turn();
    addon.pipelines[0]!.batches[1]!.end();
    expect(await next).toEqual(range(0, 3));
  });

  it('end with the backend: calls under way fail, later ones too', async () => {
    const addon = new FakeAddon();
    const backend = open(addon);
    await backend.encodeText([{ text: 'a', ids: [0, 5, 2] }]);
    const calls = [1, 2, 3, 4, 5].map((stream) => backend.segment(windowOf(stream, 0, 3), [text]));
    const outcomes = calls.map((call) => call.catch((error: unknown) => error));
    await turn();
    await backend.dispose();
    await backend.dispose();
    for (const outcome of await Promise.all(outcomes)) expect(outcome).toEqual(code('BACKEND_FAILED'));
    await expect(backend.segment(windowOf(1, 0, 3), [text])).rejects.toThrow(code('BACKEND_FAILED'));
    await expect(backend.encodeText([{ text: 'b', ids: [0, 6, 2] }])).rejects.toThrow(code('BACKEND_FAILED'));
    expect(addon.open).toEqual([]);
    expect(addon.encoders[0]!.disposed).toBe(true);
  });
});

describe('sentences', () => {
  const sentence = (...ids: number[]) => ({ text: ids.join(' '), ids });

  it('are encoded once, in groups that the engine takes, padded to the longest', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon, { engines: fakeEngines({ sentences: 2 }) });
    const all = [sentence(0, 5, 2), sentence(0, 6, 7, 2), sentence(0, 8, 2)];
    const texts = await backend.encodeText([...all, all[0]!]);
    expect(texts.map(({ tokens }) => tokens)).toEqual([3, 4, 3, 3]);
    expect(texts[1]!.features).toEqual(Float32Array.from([0, 6, 7, 2].flatMap((id) => Array(4).fill(id))));
    expect(texts[3]).toBe(texts[0]);
    await backend.encodeText([all[2]!]);
    expect(addon.encoders).toHaveLength(1);
    expect(addon.encoders[0]!.calls).toEqual([
      { sentences: 2, tokens: 4 },
      { sentences: 1, tokens: 3 },
    ]);
  });

  it('longer than the engines allow are refused with the command that helps', async () => {
    const addon = new FakeAddon({ atOnce: true });
    await using backend = open(addon, { engines: fakeEngines({ tokens: 4 }) });
    const long = backend.encodeText([sentence(0, 1, 2, 3, 4)]);
    await expect(long).rejects.toThrow(code('LIMIT_EXCEEDED'));
    await expect(long).rejects.toHaveProperty('hint', expect.stringContaining('rvos build --tokens 5'));
    const features = { tokens: 5, features: new Float32Array(20) };
    await expect(backend.segment(windowOf(1, 0, 3), [features])).rejects.toThrow(code('LIMIT_EXCEEDED'));
  });

  it('none of them need no GPU', async () => {
    const addon = new FakeAddon();
    await using backend = open(addon);
    expect(await backend.segment(windowOf(1, 0, 3), [])).toEqual({ sentences: [] });
    expect(addon.pipelines).toEqual([]);
  });

  it('wait for an engine that is missing until it is there', async () => {
    const addon = new FakeAddon();
    const engines = fakeEngines();
    let built = false;
    const missing = new RvosError('ENGINE_MISSING', 'there is none', 'Build it: rvos build');
    const textEncoder = () => (built ? engines.textEncoder() : Promise.reject(missing));
    await using backend = open(addon, { engines: { ...engines, textEncoder } });
    await expect(backend.encodeText([sentence(0, 5, 2)])).rejects.toBe(missing);
    built = true;
    expect(await backend.encodeText([sentence(0, 5, 2)])).toHaveLength(1);
  });
});

describe('windows that engines cannot take', () => {
  it.each<[string, Frames, SegmentOptions, string]>([
    ['of more frames than the long form', windowOf(1, 0, 25), {}, 'LIMIT_EXCEEDED'],
    [
      'of which more frames are kept than the short form has',
      windowOf(1, 0, 20),
      { frames: range(0, 9) },
      'LIMIT_EXCEEDED',
    ],
    ['without frames', windowOf(1, 0, 0), {}, 'NO_FRAMES'],
    ['with kept frames outside', windowOf(1, 0, 3), { frames: [3] }, 'BAD_ARGUMENT'],
    ['too long and thin', windowOf(1, 0, 3, 4000, 1), {}, 'BAD_FRAME_SIZE'],
  ])('%s are refused', async (_, window, options, expected) => {
    await using backend = open(new FakeAddon());
    await expect(backend.segment(window, [text], options)).rejects.toThrow(code(expected));
  });

  it('because they are too long name ONNX Runtime', async () => {
    await using backend = open(new FakeAddon());
    const long = backend.segment(windowOf(1, 0, 40), [text]);
    await expect(long).rejects.toHaveProperty('hint', expect.stringContaining('--backend onnxruntime'));
  });
});
