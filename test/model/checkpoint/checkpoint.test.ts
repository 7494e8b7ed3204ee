import { execFileSync } from 'node:child_process';
import { mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RvosError } from '../../../src/errors.js';
import { openCheckpoint } from '../../../src/model/checkpoint/checkpoint.js';
import { readSafetensors, writeSafetensors } from '../../../src/tensors/safetensors.js';
import type { Tensor } from '../../../src/tensors/tensor.js';
import { PickleWriter, type TorchTensorRecord } from '../../support/pickle-writer.js';
import { writeZip } from '../../support/zip-writer.js';

const goldens = fileURLToPath(new URL('../../goldens/', import.meta.url));
const original = join(goldens, 'checkpoint.pth.tar');

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-checkpoint-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

/** All values of a checkpoint, or the error. */
async function readAll(path: string): Promise<Map<string, Float32Array>> {
  await using checkpoint = await openCheckpoint(path);
  const values = new Map<string, Float32Array>();
  for (const name of checkpoint.tensors.keys()) values.set(name, await checkpoint.read(name));
  return values;
}

const raw = (values: Float32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength);
const float = (values: readonly number[]) => Buffer.from(Float32Array.from(values).buffer);
type Item = readonly [string, TorchTensorRecord];

/** What torch.save would write of a state dict, with chosen storages. */
async function torchFile(
  items: readonly Item[],
  storages: Record<string, Uint8Array>,
  options: { readonly wrapper?: string; readonly root?: string; readonly metadata?: boolean } = {},
): Promise<string> {
  const pickle = new PickleWriter();
  const dict = () => {
    pickle.dict(items.map(([name, tensor]) => [name, () => pickle.tensor(tensor)]));
    if (options.metadata) pickle.dict([['_metadata', () => pickle.dict([])]], true).op(0x62);
  };
  if (options.wrapper)
    pickle.dict(
      [
        ['epoch', () => pickle.integer(3)],
        [options.wrapper, dict],
      ],
      true,
    );
  else dict();
  const root = options.root ?? 'archive';
  const path = join(folder, 'case.pth.tar');
  await writeZip(path, [
    [`${root}/data.pkl`, pickle.end()],
    ...Object.entries(storages).map(([key, data]): [string, Uint8Array] => [`${root}/data/${key}`, data]),
    [`${root}/version`, '3\n'],
  ]);
  return path;
}

const vector = (shape: readonly number[], more: Partial<TorchTensorRecord> = {}): TorchTensorRecord => ({
  storageType: 'FloatStorage',
  key: '0',
  length: 6,
  shape,
  ...more,
});
const six = { 0: float([0, 1, 2, 3, 4, 5]) };

describe('openCheckpoint', () => {
  it('reads the original container to the very floats of its safetensors twin', async () => {
    const values = await readAll(original);
    const twin = await readSafetensors(join(goldens, 'model.safetensors'));
    for (const [name, { data, shape }] of twin) {
      expect(Buffer.compare(raw(values.get(name)!), raw(data as Float32Array)), name).toBe(0);
      expect(values.get(name)!.length).toBe(shape.reduce((a, b) => a * b, 1));
    }
    const surplus = [...values.keys()].filter((name) => !twin.has(name));
    expect(surplus.every((name) => /relative_position_index|position_ids/.test(name))).toBe(true);
    expect(values.get('backbone.layers.0.blocks.0.attn.relative_position_index')!.length).toBe(392 * 392);
    for (const [name, data] of await readAll(join(goldens, 'model.safetensors'))) {
      expect(Buffer.compare(raw(data), raw(values.get(name)!)), name).toBe(0);
    }
  });

  it.each([undefined, 'model_state_dict', 'state_dict', 'model'])('reads a state dict in %s', async (wrapper) => {
    const path = await torchFile([['a.weight', vector([2, 3])]], six, {
      ...(wrapper ? { wrapper } : {}),
      metadata: true,
    });
    expect(await readAll(path)).toEqual(new Map([['a.weight', Float32Array.of(0, 1, 2, 3, 4, 5)]]));
  });

  it.each([
    [
      ['module.a', 'module.b'],
      ['a', 'b'],
    ],
    [
      ['model.a', 'model.b'],
      ['a', 'b'],
    ],
    [
      ['module.model.a', 'module.model.b'],
      ['a', 'b'],
    ],
    [
      ['module.a', 'b'],
      ['module.a', 'b'],
    ],
  ])('takes prefixes off %j', async (stored, published) => {
    const path = await torchFile(
      stored.map((name): Item => [name, vector([6])]),
      six,
    );
    expect([...(await readAll(path)).keys()]).toEqual(published);
    const twin = join(folder, 'prefixed.safetensors');
    const tensor: Tensor = { dtype: 'F32', shape: [1], data: Float32Array.of(7) };
    await writeSafetensors(twin, new Map(stored.map((name) => [name, tensor])), { force: true });
    expect(new Set((await readAll(twin)).keys())).toEqual(new Set(published));
  });

  it('reads shared, shifted, strided, expanded and empty tensors, whatever device they came from', async () => {
    const path = await torchFile(
      [
        ['whole', vector([6])],
        ['shifted', vector([2], { offset: 4, location: 'cuda:0' })],
        ['transposed', vector([3, 2], { stride: [1, 3] })],
        ['expanded', vector([2, 3], { stride: [0, 1], offset: 1 })],
        ['every second', vector([1, 3], { stride: [99, 2], location: 'cuda:3' })],
        ['scalar', vector([], { offset: 5 })],
        ['empty', vector([0, 7])],
        ['three axes', vector([2, 1, 2], { stride: [1, 5, 3], offset: 1 })],
      ],
      six,
      { root: 'refer-youtube-vos_window-12' },
    );
    const values = await readAll(path);
    expect(Object.fromEntries([...values].map(([name, data]) => [name, Array.from(data)]))).toEqual({
      whole: [0, 1, 2, 3, 4, 5],
      shifted: [4, 5],
      transposed: [0, 3, 1, 4, 2, 5],
      expanded: [1, 2, 3, 1, 2, 3],
      'every second': [0, 2, 4],
      scalar: [5],
      empty: [],
      'three axes': [1, 4, 2, 5],
    });
  });

  it.each<[string, Uint8Array, string]>([
    ['DoubleStorage', Buffer.from(Float64Array.of(1, -2.5).buffer), 'F64'],
    ['HalfStorage', Buffer.from(Uint16Array.of(0x3c00, 0xc100).buffer), 'F16'],
    ['BFloat16Storage', Buffer.from(Uint16Array.of(0x3f80, 0xc020).buffer), 'BF16'],
  ])('reads %s as float32', async (storageType, data, dtype) => {
    const path = await torchFile([['a', vector([2], { storageType, length: 2 })]], { 0: data });
    expect(await readAll(path)).toEqual(new Map([['a', Float32Array.of(1, -2.5)]]));
    await using checkpoint = await openCheckpoint(path);
    expect(checkpoint.tensors.get('a')).toEqual({ dtype, shape: [2] });
  });

  it.each<[string, Uint8Array]>([
    ['LongStorage', Buffer.from(BigInt64Array.of(1n, -2n).buffer)],
    ['IntStorage', Buffer.from(Int32Array.of(1, -2).buffer)],
    ['ShortStorage', Buffer.from(Int16Array.of(1, -2).buffer)],
    ['CharStorage', Buffer.from(Int8Array.of(1, -2).buffer)],
  ])('reads %s', async (storageType, data) => {
    const path = await torchFile([['a', vector([2], { storageType, length: 2 })]], { 0: data });
    expect(await readAll(path)).toEqual(new Map([['a', Float32Array.of(1, -2)]]));
  });

  it('names what is absent, a folder, of another kind, or of the old format', async () => {
    await expect(openCheckpoint(join(folder, 'absent'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    const pipe = join(folder, 'pipe');
    execFileSync('mkfifo', [pipe]);
    for (const irregular of [folder, pipe, '/dev/zero']) {
      await expect(openCheckpoint(irregular)).rejects.toMatchObject({ code: 'BAD_CHECKPOINT' });
    }
    const path = join(folder, 'other');
    await writeFile(path, Buffer.from('80028a0a6cfc9c46f9206aa850192e', 'hex'));
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      code: 'BAD_CHECKPOINT',
      message: expect.stringContaining('old format'),
      hint: expect.stringContaining('torch.save'),
    });
    for (const bytes of ['', 'x', 'GIF89a and so on', 'PK\x03\x04', 'PK\x03\x04 but nothing else']) {
      await writeFile(path, bytes);
      await expect(openCheckpoint(path)).rejects.toMatchObject({ code: 'BAD_CHECKPOINT' });
    }
  });

  it.each<[string, readonly Item[], Record<string, Uint8Array>]>([
    ['beyond its storage', [['a', vector([7])]], six],
    ['shifted beyond its storage', [['a', vector([6], { offset: 1 })]], six],
    ['strided beyond its storage', [['a', vector([2, 2], { stride: [5, 1] })]], six],
    ['of a storage that is not there', [['a', vector([6], { key: '1' })]], six],
    ['of a storage elsewhere in the archive', [['a', vector([1], { key: '../version', length: 1 })]], six],
    ['of a storage shorter than it says', [['a', vector([7], { length: 7 })]], six],
    ['of negative size', [['a', vector([-1])]], six],
    ['of negative offset', [['a', vector([1], { offset: -1 })]], six],
    ['of negative stride', [['a', vector([2], { stride: [-1], offset: 5 })]], six],
    ['of fewer strides than sizes', [['a', vector([2, 3], { stride: [1] })]], six],
    ['expanded to 2^60 values', [['a', vector([2 ** 30, 2 ** 30], { stride: [0, 0] })]], six],
    ['of 100 axes', [['a', vector(new Array<number>(100).fill(1))]], six],
    ['of unknown type', [['a', vector([6], { storageType: 'QInt8Storage' })]], six],
  ])('refuses a tensor %s', async (_what, items, storages) => {
    await expect(readAll(await torchFile(items, storages))).rejects.toMatchObject({ code: 'BAD_CHECKPOINT' });
  });

  it('refuses an archive without tensors or without a pickle', async () => {
    await expect(readAll(await torchFile([], {}))).rejects.toMatchObject({
      message: expect.stringContaining('no tensors'),
    });
    const path = join(folder, 'other.zip');
    await writeZip(path, [['readme.txt', 'hello']]);
    await expect(openCheckpoint(path)).rejects.toMatchObject({ code: 'BAD_CHECKPOINT' });
    await writeZip(path, [['a/data.pkl', new PickleWriter().op(0x4e).end()]]);
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      message: expect.stringContaining('does not hold a dict'),
    });
    const two = new PickleWriter();
    two.dict([['a', () => two.integer(1)]]);
    await writeZip(path, [['a/data.pkl', two.end()]]);
    await expect(openCheckpoint(path)).rejects.toMatchObject({
      message: expect.stringContaining('"a" is not a tensor'),
    });
  });
});

describe('damaged checkpoints', () => {
  /** Everything but the raw floats: what damage can turn into surprises. */
  async function structure(): Promise<{ bytes: Buffer; regions: [number, number][] }> {
    const bytes = await readFile(original);
    const pickleStart = bytes.indexOf(Buffer.from([0x80, 0x02]));
    const directory = bytes.readUInt32LE(bytes.lastIndexOf(Buffer.from('PK\x05\x06', 'latin1')) + 16);
    return {
      bytes,
      regions: [
        [0, pickleStart],
        [pickleStart, pickleStart + 40_000],
        [Math.min(directory, bytes.length - 1), bytes.length],
      ],
    };
  }

  async function outcome(path: string): Promise<unknown> {
    try {
      await using checkpoint = await openCheckpoint(path);
      for (const name of [...checkpoint.tensors.keys()].slice(0, 40)) await checkpoint.read(name);
      return 'read';
    } catch (error) {
      return error;
    }
  }

  it('throws RvosError wherever the file is cut', async () => {
    const { bytes, regions } = await structure();
    const path = join(folder, 'cut.pth.tar');
    await writeFile(path, bytes);
    const [start] = regions[2]!;
    const cuts = [
      ...Array.from({ length: 60 }, (_, i) => bytes.length - 1 - i),
      ...Array.from({ length: 60 }, (_, i) => Math.floor(bytes.length - ((bytes.length - start) * i) / 60)).slice(1),
      ...Array.from({ length: 80 }, (_, i) => Math.floor((start * (80 - i)) / 80)),
      ...[100, 63, 30, 29, 4, 3, 1, 0],
    ].sort((a, b) => b - a);
    for (const cut of cuts) {
      await truncate(path, cut);
      expect(await outcome(path), `cut at ${cut}`).toMatchObject({ name: 'RvosError', code: 'BAD_CHECKPOINT' });
    }
  });

  it('throws RvosError or reads on, whatever bytes are altered', async () => {
    const { bytes, regions } = await structure();
    const path = join(folder, 'altered.pth.tar');
    await writeFile(path, bytes);
    await using file = await open(path, 'r+');
    const outcomes = { read: 0, refused: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc
          .constantFrom(...regions)
          .chain(([from, to]) =>
            fc.array(fc.tuple(fc.integer({ min: from, max: to - 1 }), fc.nat(255)), { minLength: 1, maxLength: 3 }),
          ),
        async (edits) => {
          for (const [at, value] of edits) await file.write(Buffer.of(value), 0, 1, at);
          const result = await outcome(path);
          for (const [at] of edits) await file.write(bytes, at, 1, at);
          if (result !== 'read') expect(result).toBeInstanceOf(RvosError);
          outcomes[result === 'read' ? 'read' : 'refused']++;
        },
      ),
      { numRuns: 200, seed: 7 },
    );
    expect(outcomes.refused).toBeGreaterThan(20);
    expect(outcomes.read).toBeGreaterThan(10);
  });
});
