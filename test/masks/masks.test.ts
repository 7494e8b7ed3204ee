import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';

import { RvosError } from '../../src/errors.js';
import { cutOut, cutOutPng } from '../../src/masks/cutout.js';
import { emptyMask, type Mask, maskByteLength } from '../../src/masks/mask.js';
import { maskColor, paintMasks } from '../../src/masks/overlay.js';
import { maskFromPixels, maskToPixels } from '../../src/masks/pixels.js';
import { decodeMaskPng, encodeMaskPng } from '../../src/masks/png.js';
import { cocoRleSchema, decodeRle, encodeRle } from '../../src/masks/rle.js';
import { maskOverlap, maskStatistics } from '../../src/masks/statistics.js';
import type { RgbFrame } from '../../src/video/frame.js';

const masks = fc
  .record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }), seed: fc.nat() })
  .map(({ width, height, seed }): Mask => {
    const pixels = Uint8Array.from(
      { length: width * height },
      (_, i) => (Math.imul(i + seed, 2654435761) >>> 24) & 255,
    );
    return maskFromPixels(pixels, width, height);
  });

function frameLike(width: number, height: number): RgbFrame {
  return { width, height, time: 1.5, data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 31) % 251) };
}

/** The top left pixel and the last one. */
const corners: Mask = { width: 3, height: 3, bits: Uint8Array.of(0b1000_0000, 0b1000_0000) };

async function codeOf(action: () => unknown): Promise<string> {
  try {
    await action();
  } catch (error) {
    if (error instanceof RvosError) return error.code;
    throw error;
  }
  return 'nothing thrown';
}

describe('pixels', () => {
  it('unpack as numpy does, and pack back', () => {
    expect([...maskToPixels(corners, 1)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 1]);
    fc.assert(
      fc.property(masks, (mask) => {
        const pixels = maskToPixels(mask);
        expect(pixels.length).toBe(mask.width * mask.height);
        expect(maskFromPixels(pixels, mask.width, mask.height)).toEqual(mask);
      }),
    );
  });

  it('of another size are refused', async () => {
    expect(await codeOf(() => maskFromPixels(new Uint8Array(5), 2, 2))).toBe('BAD_ARGUMENT');
    expect(await codeOf(() => maskToPixels({ ...corners, width: 30 }))).toBe('BAD_ARGUMENT');
  });
});

describe('COCO RLE', () => {
  it('round-trips through JSON', () => {
    fc.assert(
      fc.property(masks, (mask) => {
        const rle = cocoRleSchema.parse(JSON.parse(JSON.stringify(encodeRle(mask))));
        expect(rle.size).toEqual([mask.height, mask.width]);
        expect(decodeRle(rle)).toEqual(mask);
      }),
    );
  });

  it('of a bad kind is refused with what is wrong', async () => {
    expect(await codeOf(() => decodeRle({ size: [4, 4], counts: '3' }))).toBe('BAD_ARGUMENT');
    expect(await codeOf(() => decodeRle({ size: [1e6, 1e6], counts: '3' }))).toBe('BAD_ARGUMENT');
    expect(() => decodeRle({ size: [4, 4], counts: '3' })).toThrow(/4×4.*fewer pixels/);
  });
});

describe('mask PNG', () => {
  it('is 8-bit grayscale with 0 and 255', async () => {
    const png = await encodeMaskPng(corners);
    const { format, width, height, channels, space, depth, bitsPerSample } = await sharp(png).metadata();
    expect({ format, width, height, channels, space, depth }).toEqual({
      format: 'png',
      width: 3,
      height: 3,
      channels: 1,
      space: 'b-w',
      depth: 'uchar',
    });
    expect(bitsPerSample ?? 8).toBe(8);
    // Bytes 24 and 25 of a PNG are its bit depth and colour type; 0 is grayscale.
    expect([png[24], png[25]]).toEqual([8, 0]);
    expect([...(await sharp(png).extractChannel(0).raw().toBuffer())]).toEqual([255, 0, 0, 0, 0, 0, 0, 0, 255]);
  });

  it('round-trips', async () => {
    await fc.assert(
      fc.asyncProperty(masks, async (mask) => {
        expect(await decodeMaskPng(await encodeMaskPng(mask))).toEqual(mask);
      }),
      { numRuns: 30 },
    );
  });

  it('is read from colour too', async () => {
    const raw = { width: 2, height: 1, channels: 3 } as const;
    const png = await sharp(Uint8Array.of(250, 250, 250, 3, 4, 5), { raw })
      .png()
      .toBuffer();
    expect(await decodeMaskPng(png)).toEqual({ width: 2, height: 1, bits: Uint8Array.of(0b1000_0000) });
  });

  it('that is none is refused', async () => {
    expect(await codeOf(() => decodeMaskPng(Buffer.from('not a picture')))).toBe('BAD_ARGUMENT');
  });
});

describe('overlay', () => {
  it('uses the published colours first', () => {
    expect([0, 1, 2, 3].map(maskColor)).toEqual([
      [41, 171, 226],
      [237, 30, 121],
      [35, 161, 90],
      [255, 148, 59],
    ]);
  });

  it('has colours that differ for many sentences', () => {
    const colors = Array.from({ length: 24 }, (_, i) => maskColor(i));
    for (const [i, a] of colors.entries()) {
      expect(a.every((level) => Number.isInteger(level) && level >= 0 && level <= 255)).toBe(true);
      for (const b of colors.slice(0, i)) {
        expect(Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]), `colour ${i}: ${a} and ${b}`).toBeGreaterThan(30);
      }
    }
  });

  it('paints in the colour of the sentence, and leaves the frame alone', async () => {
    const frame = frameLike(3, 3);
    const before = frame.data.slice();
    const painted = await paintMasks(frame, [undefined, corners], { alpha: 1 });
    expect([...painted.data.subarray(0, 3)]).toEqual([237, 30, 121]);
    expect([...painted.data.subarray(24)]).toEqual([237, 30, 121]);
    expect(painted.time).toBe(frame.time);
    expect(frame.data).toEqual(before);
  });

  it('takes other colours and a buffer', async () => {
    const target = new Uint8Array(100);
    const { data } = await paintMasks(frameLike(3, 3), [corners], { alpha: 1, colors: [[1, 2, 3]], target });
    expect(data.buffer).toBe(target.buffer);
    expect([...data.subarray(0, 3)]).toEqual([1, 2, 3]);
  });

  it('refuses masks of another size', async () => {
    expect(await codeOf(() => paintMasks(frameLike(4, 3), [corners]))).toBe('BAD_ARGUMENT');
    expect(await codeOf(() => paintMasks(frameLike(3, 3), [{ ...corners, bits: new Uint8Array(1) }]))).toBe(
      'BAD_ARGUMENT',
    );
  });
});

describe('cut-out', () => {
  it('has the mask as alpha and nothing of the background', async () => {
    const frame = frameLike(3, 3);
    const rgba = await cutOut(frame, corners);
    expect([...rgba.subarray(0, 4)]).toEqual([...frame.data.subarray(0, 3), 255]);
    expect([...rgba.subarray(4, 32)]).toEqual(new Array(28).fill(0));
    expect([...rgba.subarray(32)]).toEqual([...frame.data.subarray(24), 255]);
  });

  it('can keep the colours below', async () => {
    const frame = frameLike(3, 3);
    expect([...(await cutOut(frame, corners, { hidden: 'kept' })).subarray(4, 8)]).toEqual([
      ...frame.data.subarray(3, 6),
      0,
    ]);
  });

  it('is a PNG with alpha', async () => {
    const frame = frameLike(3, 3);
    const { data, info } = await sharp(await cutOutPng(frame, corners))
      .raw()
      .toBuffer({ resolveWithObject: true });
    expect(info).toMatchObject({ width: 3, height: 3, channels: 4 });
    expect([...data]).toEqual([...(await cutOut(frame, corners))]);
  });

  it('of a large frame lets other work have its turn', async () => {
    const frame = { width: 4096, height: 2160, data: new Uint8Array(4096 * 2160 * 3), time: 0 };
    const mask = emptyMask(frame);
    let turns = 0;
    const timer = setInterval(() => turns++, 1);
    await cutOut(frame, mask);
    clearInterval(timer);
    expect(turns).toBeGreaterThan(3);
  });

  it('refuses a mask of another size', async () => {
    expect(await codeOf(() => cutOut(frameLike(3, 4), corners))).toBe('BAD_ARGUMENT');
  });
});

describe('statistics', () => {
  it('count one mask and two', () => {
    const none: Mask = { ...corners, bits: new Uint8Array(maskByteLength(3, 3)) };
    expect(maskStatistics(corners)).toEqual({ area: 2, box: [0, 0, 3, 3] });
    expect(maskStatistics(none)).toEqual({ area: 0, box: [0, 0, 0, 0] });
    expect(maskOverlap(corners, none)).toEqual({ intersection: 0, union: 2 });
    expect(maskOverlap(corners, corners)).toEqual({ intersection: 2, union: 2 });
  });

  it('refuse masks of different sizes', async () => {
    expect(await codeOf(() => maskOverlap(corners, { width: 9, height: 1, bits: corners.bits }))).toBe('BAD_ARGUMENT');
  });
});
