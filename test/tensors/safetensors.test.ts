import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RvosError } from '../../src/errors.js';
import { readSafetensors, SafetensorsFile, writeSafetensors } from '../../src/tensors/safetensors.js';
import { type Tensor, toFloat32 } from '../../src/tensors/tensor.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-safetensors-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const sample = new Map<string, Tensor>([
  ['b.bytes', { dtype: 'U8', shape: [3], data: Uint8Array.of(1, 2, 3) }],
  ['a', { dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, -2, 0.5, 4) }],
  ['ids', { dtype: 'I64', shape: [1, 2], data: BigInt64Array.of(0n, -7n) }],
  ['half', { dtype: 'F16', shape: [2], data: Uint16Array.of(0x3c00, 0xc000) }],
  ['brain', { dtype: 'BF16', shape: [1], data: Uint16Array.of(0x3f80) }],
  ['double', { dtype: 'F64', shape: [], data: Float64Array.of(0.1) }],
  ['empty', { dtype: 'F32', shape: [0, 5], data: new Float32Array(0) }],
  ['flag', { dtype: 'BOOL', shape: [1], data: Uint8Array.of(1) }],
  ['__proto__', { dtype: 'I32', shape: [1], data: Int32Array.of(9) }],
]);

function withHeader(header: string | object, data: Uint8Array = new Uint8Array(0), claimed?: bigint): Buffer {
  const json = Buffer.from(typeof header === 'string' ? header : JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(claimed ?? BigInt(json.length));
  return Buffer.concat([length, json, data]);
}

async function opening(bytes: Uint8Array): Promise<unknown> {
  const path = join(folder, 'case.safetensors');
  await writeFile(path, bytes);
  return readSafetensors(path).catch((error: unknown) => error);
}

describe('safetensors', () => {
  it('gives back what was written, aligned, and the same bytes whatever the order', async () => {
    const path = join(folder, 'a.safetensors');
    await writeSafetensors(path, sample, { metadata: new Map([['format', 'pt']]) });
    const tensors = await readSafetensors(path);
    expect(new Set(tensors.keys())).toEqual(new Set(sample.keys()));
    for (const [name, tensor] of sample) expect(tensors.get(name)).toEqual(tensor);
    expect(Array.from(toFloat32(tensors.get('half')!))).toEqual([1, -2]);
    expect(Array.from(toFloat32(tensors.get('brain')!))).toEqual([1]);
    expect(Array.from(toFloat32(tensors.get('ids')!))).toEqual([0, -7]);

    const bytes = await readFile(path);
    expect(Number(bytes.readBigUInt64LE()) % 8).toBe(0);
    await writeSafetensors(path, new Map([...sample].reverse()), {
      force: true,
      metadata: new Map([['format', 'pt']]),
    });
    expect(await readFile(path)).toEqual(bytes);

    await using file = await SafetensorsFile.open(path);
    expect(file.metadata).toEqual(new Map([['format', 'pt']]));
    expect(await file.read('a')).toEqual(sample.get('a'));
    await expect(file.read('absent')).rejects.toMatchObject({ code: 'BAD_TENSOR_FILE' });
  });

  it('reads a file written by the original library', async () => {
    // safetensors.numpy.save({'x': arange(3, float16), 'y': array([[True, False]])}, {'k': 'v'})
    const bytes = Buffer.from(
      'iAAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJrIjoidiJ9LCJ4Ijp7ImR0eXBlIjoiRjE2Iiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbMCw2XX0sInkiOnsiZHR5cGUiOiJCT09MIiwic2hhcGUiOlsxLDJdLCJkYXRhX29mZnNldHMiOls2LDhdfX0gAAAAPABAAQA=',
      'base64',
    );
    const path = join(folder, 'library.safetensors');
    await writeFile(path, bytes);
    const tensors = await readSafetensors(path);
    expect(Array.from(toFloat32(tensors.get('x')!))).toEqual([0, 1, 2]);
    expect(tensors.get('y')).toEqual({ dtype: 'BOOL', shape: [1, 2], data: Uint8Array.of(1, 0) });
  });

  it('makes values only when their turn comes', async () => {
    const path = join(folder, 'lazy.safetensors');
    const order: string[] = [];
    const source = (name: string) => ({
      dtype: 'F32' as const,
      shape: [1],
      data: async () => {
        order.push(name);
        return Float32Array.of(name.length);
      },
    });
    await writeSafetensors(path, new Map([...'cab'].map((name) => [name, source(name)])));
    expect(order).toEqual(['a', 'b', 'c']);
    expect((await readSafetensors(path)).size).toBe(3);
  });

  it('leaves an existing file alone without force, and nothing behind when it fails', async () => {
    const inner = await mkdtemp(join(folder, 'inner-'));
    const path = join(inner, 'x.safetensors');
    await writeSafetensors(path, sample);
    await expect(writeSafetensors(path, sample)).rejects.toMatchObject({ code: 'OUTPUT_EXISTS' });
    const wrong = new Map<string, Tensor>([['a', { dtype: 'F32', shape: [3], data: new Float32Array(2) }]]);
    await expect(writeSafetensors(path, wrong, { force: true })).rejects.toThrow(RangeError);
    expect(await readdir(inner)).toEqual(['x.safetensors']);
    expect(await readSafetensors(path)).toEqual(expect.any(Map));
  });

  const f32 = (shape: unknown, begin: unknown, end: unknown) => ({ dtype: 'F32', shape, data_offsets: [begin, end] });
  it.each<[string, Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['fewer than 8 bytes', Buffer.alloc(7)],
    ['a header of 2^60 bytes', withHeader('{}', undefined, 2n ** 60n)],
    ['a header of 2^64-1 bytes', withHeader('{}', undefined, 2n ** 64n - 1n)],
    ['a header of 200 MB', withHeader('{}', undefined, 200_000_000n)],
    ['a header longer than the file', withHeader('{}', undefined, 3n)],
    ['no JSON', withHeader('{"a":')],
    ['a JSON list', withHeader('[]')],
    ['null', withHeader('null')],
    ['a nesting bomb', withHeader('['.repeat(50_000_000))],
    ['a nested entry', withHeader(`{"a":${'['.repeat(100_000)}${']'.repeat(100_000)}}`)],
    ['an unknown type', withHeader({ a: { dtype: 'F8', shape: [1], data_offsets: [0, 1] } }, Buffer.alloc(1))],
    ['the type toString', withHeader({ a: { dtype: 'toString', shape: [1], data_offsets: [0, 1] } }, Buffer.alloc(1))],
    ['a negative offset', withHeader({ a: f32([1], -4, 0) }, Buffer.alloc(4))],
    ['a fractional size', withHeader({ a: f32([0.5], 0, 2) }, Buffer.alloc(2))],
    ['a shape larger than its data', withHeader({ a: f32([2], 0, 4) }, Buffer.alloc(4))],
    ['a shape that overflows', withHeader({ a: f32([2 ** 52, 2 ** 52, 2 ** 52], 0, 4) }, Buffer.alloc(4))],
    ['a tensor beyond the file', withHeader({ a: f32([2], 0, 8) }, Buffer.alloc(4))],
    ['a tensor of 2^50 bytes', withHeader({ a: f32([2 ** 48], 0, 2 ** 50) }, Buffer.alloc(4))],
    ['overlapping tensors', withHeader({ a: f32([2], 0, 8), b: f32([1], 4, 8) }, Buffer.alloc(8))],
    ['a hole', withHeader({ a: f32([1], 0, 4), b: f32([1], 8, 12) }, Buffer.alloc(12))],
    ['bytes after the last tensor', withHeader({ a: f32([1], 0, 4) }, Buffer.alloc(5))],
    ['metadata that is not text', withHeader({ __metadata__: { a: 1 } })],
    ['too many dimensions', withHeader({ a: f32(new Array(1000).fill(1), 0, 4) }, Buffer.alloc(4))],
  ])('refuses a file with %s', async (_what, bytes) => {
    expect(await opening(bytes)).toMatchObject({ name: 'RvosError', code: 'BAD_TENSOR_FILE' });
  });

  it('refuses what is absent or a folder', async () => {
    await expect(readSafetensors(join(folder, 'absent'))).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(readSafetensors(folder)).rejects.toBeInstanceOf(RvosError);
  });

  it('notices a file that shrinks while it is open', async () => {
    const path = join(folder, 'shrinks.safetensors');
    await writeSafetensors(path, sample);
    await using file = await SafetensorsFile.open(path);
    await truncate(path, 300);
    await expect(file.read('b.bytes')).rejects.toMatchObject({ code: 'BAD_TENSOR_FILE' });
  });

  it('throws nothing but RvosError on damaged files', async () => {
    const path = join(folder, 'whole.safetensors');
    await writeSafetensors(path, sample, { force: true });
    const whole = await readFile(path);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(whole.length),
        async (edits, length) => {
          const bytes = Buffer.from(whole);
          for (const [at, value] of edits) bytes[at] = value;
          const result = await opening(bytes.subarray(0, edits.length > 0 ? whole.length : length));
          expect(result instanceof RvosError || result instanceof Map).toBe(true);
        },
      ),
      { numRuns: 500, seed: 1 },
    );
  });
});
