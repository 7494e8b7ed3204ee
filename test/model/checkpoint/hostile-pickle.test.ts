import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openCheckpoint } from '../../../src/model/checkpoint/checkpoint.js';
import { PickleProblem } from '../../../src/model/checkpoint/pickle-build.js';
import { readPickle } from '../../../src/model/checkpoint/pickle-machine.js';
import { PickleDict } from '../../../src/model/checkpoint/pickle-values.js';
import { PickleWriter } from '../../support/pickle-writer.js';
import { writeZip, type ZipOptions } from '../../support/zip-writer.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-hostile-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

async function opening(pickle: Uint8Array): Promise<unknown> {
  const path = join(folder, 'case.pth.tar');
  await writeZip(path, [['archive/data.pkl', pickle]]);
  const checkpoint = await openCheckpoint(path).catch((error: unknown) => error);
  if (checkpoint instanceof Error) return checkpoint;
  throw new Error('it was read');
}

describe('code in a pickle', () => {
  it.each([
    ['os', 'system'],
    ['posix', 'system'],
    ['nt', 'system'],
    ['subprocess', 'Popen'],
    ['builtins', 'eval'],
    ['builtins', 'exec'],
    ['builtins', 'getattr'],
    ['builtins', '__import__'],
    ['__builtin__', 'eval'],
    ['torch', 'load'],
    ['torch.storage', '_load_from_bytes'],
    ['torch.hub', 'load'],
    ['torch._utils', '__builtins__'],
    ['functools', 'partial'],
    ['operator', 'attrgetter'],
    ['numpy.testing._private.utils', 'runstring'],
    ['collections', 'OrderedDict.fromkeys'],
    ['collections.OrderedDict', 'fromkeys'],
    ['torch', 'nn.Module'],
    ['', ''],
    ['constructor', 'constructor'],
    ['__proto__', 'polluted'],
  ])('refuses and names %s.%s', async (module, name) => {
    const marker = join(folder, 'executed');
    const pickle = new PickleWriter();
    pickle.call(module, name, [() => pickle.text(`touch ${marker}`)]);
    expect(await opening(pickle.end())).toMatchObject({
      name: 'RvosError',
      code: 'BAD_CHECKPOINT',
      message: expect.stringContaining(JSON.stringify(`${module}.${name}`)),
      hint: expect.stringContaining('never runs code'),
    });
    expect(existsSync(marker)).toBe(false);
  });

  it('gives the position of the global, and prints it harmlessly', async () => {
    const pickle = new PickleWriter().text('x').op(0x30).global('evil\x1b[31m', 'f'.repeat(5000));
    const error = await opening(pickle.end());
    expect(error).toMatchObject({ message: expect.stringMatching(/\(byte 9 of its pickle\)$/) });
    expect((error as Error).message).not.toContain('\x1b');
    expect((error as Error).message.length).toBeLessThan(400);
  });

  it('refuses the global by any opcode', () => {
    const stacked = new PickleWriter().text('os').text('system').op(0x93).end();
    expect(() => readPickle(stacked)).toThrow(/os\.system/);
    for (const opcode of [
      0x69 /* INST */, 0x6f /* OBJ */, 0x82 /* EXT1 */, 0x92 /* NEWOBJ_EX */, 0x50 /* PERSID */, 0x97 /* NEXT_BUFFER */,
    ]) {
      expect(() => readPickle(new PickleWriter().raw('(').op(opcode).raw('os\nsystem\n').end())).toThrow(PickleProblem);
    }
  });

  it('sets no attributes but _metadata, on nothing but a dict', () => {
    const attribute = (name: string) => {
      const pickle = new PickleWriter().dict([]);
      return pickle
        .dict([[name, () => pickle.dict([])]], true)
        .op(0x62)
        .end();
    };
    expect(readPickle(attribute('_metadata'))).toBeInstanceOf(PickleDict);
    for (const name of ['__class__', '__proto__', 'keys', ''])
      expect(() => readPickle(attribute(name))).toThrow(PickleProblem);
    const onTuple = new PickleWriter().op(0x29).dict([], true).op(0x62).end();
    expect(() => readPickle(onTuple)).toThrow(PickleProblem);
    const onGlobal = new PickleWriter().global('collections', 'OrderedDict').dict([], true).op(0x62).end();
    expect(() => readPickle(onGlobal)).toThrow(PickleProblem);
  });

  it('keeps keys like __proto__ as plain data', () => {
    const pickle = new PickleWriter();
    pickle.dict([['__proto__', () => pickle.dict([['polluted', () => pickle.integer(1)]], true)]], true);
    const value = readPickle(pickle.end()) as PickleDict;
    expect([...value.entries.keys()]).toEqual(['__proto__']);
    expect((value.entries as unknown as { polluted?: number }).polluted).toBeUndefined();
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });
});

describe('bombs in a pickle', () => {
  const repeat = (count: number, ...bytes: number[]) => Buffer.alloc(count * bytes.length, Buffer.from(bytes));
  it.each<[string, Buffer]>([
    ['a tower of tuples', new PickleWriter().op(0x29).raw(repeat(1_000_000, 0x85)).end()],
    ['a tower of lists', new PickleWriter().raw(repeat(500, 0x5d)).raw(repeat(500, 0x61)).end()],
    [
      'a tower of dicts',
      new PickleWriter()
        .raw(repeat(500, 0x7d, 0x4e))
        .op(0x7d)
        .raw(repeat(500, 0x73))
        .end(),
    ],
    ['a tower of marks', new PickleWriter().raw(repeat(1_000_000, 0x28)).end()],
    ['a heap of values', new PickleWriter().raw(repeat(1_000_000, 0x5d)).end()],
    ['too much to remember', new PickleWriter().op(0x4e).raw(repeat(1_000_000, 0x94)).end()],
    ['endless steps', new PickleWriter().raw(repeat(3_000_000, 0x4e, 0x30)).end()],
    ['a text of 4 GB', new PickleWriter().op(0x58, 0xff, 0xff, 0xff, 0xff).end()],
    ['a text of 2^63 bytes', new PickleWriter().op(0x8d, 0, 0, 0, 0, 0, 0, 0, 0x80).end()],
    ['bytes of 4 GB', new PickleWriter().op(0x42, 0xff, 0xff, 0xff, 0xff).end()],
    ['an integer of 2 GB', new PickleWriter().op(0x8b, 0xff, 0xff, 0xff, 0x7f).end()],
    ['an integer of -1 bytes', new PickleWriter().op(0x8b, 0xff, 0xff, 0xff, 0xff).end()],
    ['a name without end', new PickleWriter().raw('c').raw('a'.repeat(3_000_000)).end()],
    [
      'doubling tuples',
      new PickleWriter()
        .op(0x29)
        .raw(repeat(1000, 0x32, 0x86))
        .end(),
    ],
  ])('refuses %s within a second', (_what, pickle) => {
    const start = performance.now();
    expect(() => readPickle(pickle)).toThrow(PickleProblem);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  it.each<[string, number[]]>([
    ['nothing on the stack', []],
    ['no mark', [0x74]],
    ['a value missing', [0x85]],
    ['a memo never set', [0x68, 5]],
    ['an odd number of items', [0x7d, 0x28, 0x4e, 0x75]],
    ['items for a number', [0x4b, 1, 0x28, 0x4e, 0x4e, 0x75]],
    ['a call of a number', [0x4b, 1, 0x29, 0x52]],
    ['an append to a tuple', [0x29, 0x4e, 0x61]],
    ['a storage of nothing', [0x4e, 0x51]],
    ['protocol 6', [0x80, 6]],
    ['an unknown opcode', [0xff]],
  ])('refuses %s', (_what, opcodes) => {
    expect(() => readPickle(Buffer.from([0x80, 2, ...opcodes, 0x2e]))).toThrow(PickleProblem);
  });

  it('survives a list that contains itself', () => {
    const value = readPickle(new PickleWriter().op(0x5d, 0x71, 0, 0x68, 0, 0x61).end());
    expect((value as unknown[])[0]).toBe(value);
  });
});

describe('what training leaves beside the weights', () => {
  // pickle.dumps({'n': -3, 'big': 2**70, 'x': 0.5, 'on': True, 's': {1}, 't': (1, 2), 'l': [None], 'b': b'ab'}, protocol)
  it.each<[number, string]>([
    [
      2,
      'gAJ9cQAoWAEAAABucQFK/f///1gDAAAAYmlncQKKCQAAAAAAAAAAQFgBAAAAeHEDRz/gAAAAAAAAWAIAAABvbnEEiFgBAAAAc3EFY19fYnVpbHRpbl9fCnNldApxBl1xB0sBYYVxCFJxCVgBAAAAdHEKSwFLAoZxC1gBAAAAbHEMXXENTmFYAQAAAGJxDmNfY29kZWNzCmVuY29kZQpxD1gCAAAAYWJxEFgGAAAAbGF0aW4xcRGGcRJScRN1Lg==',
    ],
    [
      3,
      'gAN9cQAoWAEAAABucQFK/f///1gDAAAAYmlncQKKCQAAAAAAAAAAQFgBAAAAeHEDRz/gAAAAAAAAWAIAAABvbnEEiFgBAAAAc3EFY2J1aWx0aW5zCnNldApxBl1xB0sBYYVxCFJxCVgBAAAAdHEKSwFLAoZxC1gBAAAAbHEMXXENTmFYAQAAAGJxDkMCYWJxD3Uu',
    ],
    [
      4,
      'gASVVwAAAAAAAAB9lCiMAW6USv3///+MA2JpZ5SKCQAAAAAAAAAAQIwBeJRHP+AAAAAAAACMAm9ulIiMAXOUj5QoSwGQjAF0lEsBSwKGlIwBbJRdlE5hjAFilEMCYWKUdS4=',
    ],
    [
      5,
      'gAWVVwAAAAAAAAB9lCiMAW6USv3///+MA2JpZ5SKCQAAAAAAAAAAQIwBeJRHP+AAAAAAAACMAm9ulIiMAXOUj5QoSwGQjAF0lEsBSwKGlIwBbJRdlE5hjAFilEMCYWKUdS4=',
    ],
  ])('reads plain values of protocol %d', (_protocol, base64) => {
    const { entries } = readPickle(Buffer.from(base64, 'base64')) as PickleDict;
    expect(entries.get('n')).toBe(-3);
    expect(entries.get('big')).toBe(2n ** 70n);
    expect(entries.get('x')).toBe(0.5);
    expect(entries.get('on')).toBe(true);
    expect(entries.get('t')).toMatchObject({ items: [1, 2] });
    expect(entries.get('l')).toEqual([null]);
  });

  it('passes over NumPy scalars and counters', () => {
    // {'best_mAP': numpy.float64(0.5), 'milestones': Counter({20: 1})} with protocol 2
    const { entries } = readPickle(
      Buffer.from(
        'gAJ9cQAoWAgAAABiZXN0X21BUHEBY251bXB5Ll9jb3JlLm11bHRpYXJyYXkKc2NhbGFyCnECY251bXB5CmR0eXBlCnEDWAIAAABmOHEEiYiHcQVScQYoSwNYAQAAADxxB05OTkr/////Sv////9LAHRxCGJjX2NvZGVjcwplbmNvZGUKcQlYCQAAAAAAAAAAAMOgP3EKWAYAAABsYXRpbjFxC4ZxDFJxDYZxDlJxD1gKAAAAbWlsZXN0b25lc3EQY2NvbGxlY3Rpb25zCkNvdW50ZXIKcRF9cRJLFEsBc4VxE1JxFHUu',
        'base64',
      ),
    ) as PickleDict;
    expect(entries.get('best_mAP')).toMatchObject({ name: expect.stringContaining('multiarray.scalar') });
    expect((entries.get('milestones') as PickleDict).entries.get(20)).toBe(1);
  });
});

describe('hostile zip files', () => {
  const good = () => {
    const pickle = new PickleWriter();
    const tensor = { storageType: 'FloatStorage', key: '0', length: 1, shape: [1] };
    return pickle.dict([['a', () => pickle.tensor(tensor)]]).end();
  };
  const data = new Uint8Array(4);

  it('reads the sound one that these are made from', async () => {
    const path = join(folder, 'sound.zip');
    await writeZip(path, [
      ['a/data.pkl', good()],
      ['a/data/0', data],
    ]);
    await using checkpoint = await openCheckpoint(path);
    expect(await checkpoint.read('a')).toEqual(Float32Array.of(0));
  });

  it.each<[string, [string, Uint8Array, ZipOptions?][]]>([
    [
      'a name that climbs out',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data],
        ['../../etc/cron.d/x', data],
      ],
    ],
    [
      'an absolute name',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data],
        ['/etc/passwd', data],
      ],
    ],
    [
      'a name with a drive',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data],
        ['C:/x', data],
      ],
    ],
    [
      'a name with backslashes',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data],
        ['..\\x', data],
      ],
    ],
    [
      'two entries of one name',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data],
        ['a/data/0', data],
      ],
    ],
    [
      'two pickles',
      [
        ['a/data.pkl', good()],
        ['b/data.pkl', good()],
        ['a/data/0', data],
      ],
    ],
    [
      'a compressed entry',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data, { method: 8 }],
      ],
    ],
    [
      'an encrypted entry',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data, { flags: 1 }],
      ],
    ],
    [
      'big-endian values',
      [
        ['a/data.pkl', good()],
        ['a/data/0', data],
        ['a/byteorder', Buffer.from('big')],
      ],
    ],
    [
      '21,000 entries',
      Array.from({ length: 21_000 }, (_, i): [string, Uint8Array] => [`a/data/${i}`, new Uint8Array(0)]),
    ],
  ])('refuses %s', async (_what, entries) => {
    const path = join(folder, 'hostile.zip');
    await writeZip(path, entries);
    await expect(openCheckpoint(path)).rejects.toMatchObject({ name: 'RvosError', code: 'BAD_CHECKPOINT' });
  });
});
