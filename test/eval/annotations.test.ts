import { deflateSync } from 'node:zlib';
import { encode } from 'fast-png';
import { describe, expect, it } from 'vitest';
import { readHdf5Masks } from '../../src/eval/annotations/hdf5-masks.js';
import { readMatArray } from '../../src/eval/annotations/mat-file.js';
import { objectMask, readObjectMap } from '../../src/eval/annotations/palette-png.js';
import { maskStatistics } from '../../src/masks/statistics.js';
import { hdf5Annotation, objectMask as maskOf, matFile, objectPixels, size } from '../support/data-sets.js';
import { rvosError } from '../support/videos.js';

/** Written by SciPy: `other` [0, 1, 2] in double and `part_mask` uint8 [4, 6, 3]. */
const bySciPy = {
  compressed:
    'TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFR1ZSBOb3YgMjQgMDk6MTE6NTUgMjAyNgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0PAAAAMAAAAHic42NgYAgAYjYg5oDSIMAK5TMCMTOUBonll2SkFgFpTiCWYEAHH+yhDAcAiwQEPA8AAAA7AAAAeJzjY2BgmADEbEDMAcScDBDACsQ8QMwClWOGijNC1RQkFpXE5yYWZ0PFmYDYA6yAEYKxARLkAOyIBPY=',
  plain:
    'TUFUTEFCIDUuMCBNQVQtZmlsZSBQbGF0Zm9ybTogcG9zaXgsIENyZWF0ZWQgb246IFR1ZSBOb3YgMjQgMDk6MTE6NTUgMjAyNgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAABSU0OAAAAUAAAAAYAAAAIAAAABgAAAAAAAAAFAAAACAAAAAEAAAADAAAAAQAAAAUAAABvdGhlcgAAAAkAAAAYAAAAAAAAAAAAAAAAAAAAAADwPwAAAAAAAABADgAAAJAAAAAGAAAACAAAAAkAAAAAAAAABQAAAAwAAAAEAAAABgAAAAMAAAAAAAAAAQAAAAkAAABwYXJ0X21hc2sAAAAAAAAAAgAAAEgAAAAAAQEAAAEBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEBAAABAQAAAAAAAAAAAAAAAAAAAAAAAAAAAAABAQAAAQEAAAAAAAAAAAA=',
};

describe('MATLAB files', () => {
  it.each(Object.entries(bySciPy))('written by SciPy, %s', (_, text) => {
    const bytes = Buffer.from(text, 'base64');
    const masks = readMatArray(bytes, 'part_mask', 'a.mat');
    expect(masks.shape).toEqual([4, 6, 3]);
    for (let t = 0; t < 3; t++) {
      for (let x = 0; x < 6; x++) {
        for (let y = 0; y < 4; y++) {
          const set = y >= 1 && y < 3 && x >= t && x < t + 2;
          expect(masks.at((t * 6 + x) * 4 + y)).toBe(set ? 1 : 0);
        }
      }
    }
    const other = readMatArray(bytes, 'other', 'a.mat');
    expect([other.at(0), other.at(1), other.at(2)]).toEqual([0, 1, 2]);
  });

  it('damaged, truncated, foreign or without the array: named', () => {
    const bytes = matFile('part_mask', [objectPixels('red', 0)]);
    const plain = Buffer.from(bySciPy.plain, 'base64');
    const read = (file: Buffer, name = 'part_mask') => readMatArray(file, name, 'x/puppet_mask.mat');
    expect(() => read(bytes, 'absent')).toThrow(/x\/puppet_mask\.mat: has no array absent/);
    expect(() => read(Buffer.from('no such thing'))).toThrow(/is no MATLAB 5 file/);
    for (let cut = 129; cut < bytes.length; cut += 7) expect(() => read(bytes.subarray(0, cut))).toThrow(/mat: /);
    for (let cut = 129; cut < plain.length; cut += 5) expect(() => read(plain.subarray(0, cut))).toThrow(/mat: /);
    // A size that does not go with the values.
    const lying = Buffer.from(plain);
    lying.writeInt32LE(1 << 30, plain.indexOf('part_mask') - 24);
    expect(() => read(lying)).toThrow(/does not have the values/);
    // A small file that inflates to gigabytes.
    const bomb = deflateSync(Buffer.alloc(300 << 20));
    const head = Buffer.alloc(8);
    head.writeUInt32LE(15, 0);
    head.writeUInt32LE(bomb.length, 4);
    expect(() => read(Buffer.concat([bytes.subarray(0, 128), head, bomb]))).toThrow(/damaged compressed data/);
  });
});

describe('HDF5 annotations', () => {
  it.each([1, 2])('masks and boxes of %i objects', async (count) => {
    const all = [objectPixels('red', 4), objectPixels('green', 4)].slice(0, count);
    const found = await readHdf5Masks(Buffer.from(await hdf5Annotation([3, 7].slice(0, count), all)), 'a.h5');
    expect(found.instances).toEqual([3, 7].slice(0, count));
    expect(found.masks).toEqual([maskOf('red', 4), maskOf('green', 4)].slice(0, count));
    expect(found.boxes[0]).toEqual([1, 2, 8, 8]);
  });

  it('unreadable ones are named', async () => {
    const good = Buffer.from(await hdf5Annotation([1], [objectPixels('red', 0)]));
    const bad = [Buffer.from('not hdf5'), good.subarray(0, good.length >> 1), Buffer.alloc(0)];
    for (const bytes of bad) {
      await expect(readHdf5Masks(bytes, 'b/00003.h5')).rejects.toMatchObject({
        ...rvosError('BAD_DATA_SET'),
        message: expect.stringContaining('b/00003.h5'),
      });
    }
    const two = Buffer.from(await hdf5Annotation([1, 2], [objectPixels('red', 0)]));
    await expect(readHdf5Masks(two, 'c.h5')).rejects.toThrow(/2 instances and masks of shape/);
  });
});

describe('object maps', () => {
  it.each([1, 2, 4, 8] as const)('indices of %i bits', (depth) => {
    const ids = objectPixels('red', 2);
    const row = Math.ceil((size.width * depth) / 8);
    const packed = new Uint8Array(row * size.height);
    ids.forEach((id, i) => {
      const bit = (i % size.width) * depth;
      packed[Math.floor(i / size.width) * row + (bit >> 3)]! |= id << (8 - depth - (bit & 7));
    });
    const palette: [number, number, number][] = [
      [0, 0, 0],
      [9, 9, 9],
    ];
    const png = encode({ ...size, data: packed, channels: 1, depth, palette });
    expect(objectMask(readObjectMap(png, 'a.png'), 1)).toEqual(maskOf('red', 2));
  });

  it('colour pictures, damage and absurd sizes are named', () => {
    const rgb = encode({ ...size, data: new Uint8Array(size.width * size.height * 3), channels: 3, depth: 8 });
    expect(() => readObjectMap(rgb, 'c.png')).toThrow(/c\.png: is a colour picture/);
    expect(() => readObjectMap(new Uint8Array(10), 'd.png')).toThrow(/d\.png: is no PNG/);
    const grey = encode({ ...size, data: objectPixels('red', 0), channels: 1, depth: 8 });
    expect(maskStatistics(objectMask(readObjectMap(grey, 'g.png'), 1)).area).toBe(64);
    const huge = grey.slice();
    new DataView(huge.buffer).setUint32(16, 1 << 21);
    expect(() => readObjectMap(huge, 'e.png')).toThrow(/too many/);
    expect(() => readObjectMap(grey.subarray(0, grey.length - 30), 'f.png')).toThrow(/f\.png: is no readable PNG/);
  });
});
