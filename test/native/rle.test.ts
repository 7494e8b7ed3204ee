import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';
import { packBits, unpackBits } from '../support/bits.js';
import { goldenPath } from '../support/safetensors.js';

const core = loadCore();

interface Rle {
  size: [number, number];
  counts: string;
}
const metrics = JSON.parse(readFileSync(goldenPath('metrics.json'), 'utf8')) as {
  pairs: {
    name: string;
    H: number;
    W: number;
    gt_rle: Rle;
    pred_rle: Rle;
    gt_packed_b64: string;
    pred_packed_b64: string;
    coco_area_gt: number;
    J: number;
  }[];
  coco: { ground_truth: { annotations: { segmentation: Rle; area: number }[] } };
};

/** The published format in plain steps: list the runs column by column, take differences, write groups of 5 bits. */
function referenceEncode(pixels: Uint8Array, height: number, width: number): string {
  const runs = [0];
  let value = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      const pixel = pixels[y * width + x]!;
      if (pixel !== value) {
        runs.push(0);
        value = pixel;
      }
      runs[runs.length - 1]!++;
    }
  }
  return runs.map((run, i) => number(i > 2 ? run - runs[i - 2]! : run)).join('');
}

function number(value: number): string {
  let text = '';
  for (let rest = value; ; ) {
    const group = rest & 31;
    rest >>= 5;
    const last = group & 16 ? rest === -1 : rest === 0;
    text += String.fromCharCode(48 + group + (last ? 0 : 32));
    if (last) return text;
  }
}

/** Masks with structure, so that long runs, word borders and empty columns occur. */
const masks = fc
  .record({
    height: fc.integer({ min: 1, max: 150 }),
    width: fc.integer({ min: 1, max: 150 }),
    blocks: fc.array(fc.record({ y: fc.nat(149), x: fc.nat(149), h: fc.nat(149), w: fc.nat(149) }), { maxLength: 6 }),
    noise: fc.nat(3),
    seed: fc.nat(),
  })
  .map(({ height, width, blocks, noise, seed }) => {
    const pixels = new Uint8Array(height * width);
    for (const { y, x, h, w } of blocks) {
      for (let r = y; r < Math.min(y + h, height); r++)
        pixels.fill(1, r * width + Math.min(x, width), r * width + Math.min(x + w, width));
    }
    let state = seed + 1;
    for (let i = 0; i < pixels.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      if (state >>> 28 < noise) pixels[i]! ^= 1;
    }
    return { height, width, pixels };
  });

describe('COCO run lengths', () => {
  it('agree with the goldens both ways', () => {
    for (const { H, W, ...pair } of metrics.pairs) {
      for (const [rle, packed] of [
        [pair.gt_rle, pair.gt_packed_b64],
        [pair.pred_rle, pair.pred_packed_b64],
      ] as const) {
        const bits = new Uint8Array(Buffer.from(packed, 'base64'));
        expect(core.rleEncode(bits, H, W), pair.name).toBe(rle.counts);
        expect(core.rleDecode(rle.counts, H, W), pair.name).toEqual(bits);
      }
      const truth = new Uint8Array(Buffer.from(pair.gt_packed_b64, 'base64'));
      const prediction = new Uint8Array(Buffer.from(pair.pred_packed_b64, 'base64'));
      expect(core.maskStatistics(truth, H, W).area).toBe(pair.coco_area_gt);
      const { intersection, union } = core.maskOverlap(truth, prediction);
      expect(union === 0 ? 1 : intersection / union).toBeCloseTo(pair.J, 9);
    }
    for (const { segmentation, area } of metrics.coco.ground_truth.annotations) {
      const [height, width] = segmentation.size;
      const bits = core.rleDecode(segmentation.counts, height, width);
      expect(core.maskStatistics(bits, height, width).area).toBe(area);
      expect(core.rleEncode(bits, height, width)).toBe(segmentation.counts);
    }
  });

  it('equal the plain algorithm and decode to the same mask', () => {
    fc.assert(
      fc.property(masks, ({ height, width, pixels }) => {
        const bits = packBits(pixels);
        const counts = core.rleEncode(bits, height, width);
        expect(counts).toBe(referenceEncode(pixels, height, width));
        expect(core.rleDecode(counts, height, width)).toEqual(bits);
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    [1, 1],
    [1, 100_000],
    [100_000, 1],
    [4320, 7680],
    [63, 65],
  ])('hold for %i×%i, empty, full and striped', (height, width) => {
    const bytes = Math.ceil((height * width) / 8);
    for (const byte of [0, 255, 0xa5]) {
      const bits = new Uint8Array(bytes).fill(byte);
      const spare = bytes * 8 - height * width;
      bits[bytes - 1]! &= 0xff << spare;
      expect(Buffer.compare(core.rleDecode(core.rleEncode(bits, height, width), height, width), bits)).toBe(0);
    }
  });

  it('reads bits beyond the last pixel as absent', () => {
    expect(core.rleEncode(Uint8Array.of(0xff), 1, 3)).toBe(core.rleEncode(Uint8Array.of(0xe0), 1, 3));
    expect(core.maskStatistics(Uint8Array.of(0xff, 0xff), 1, 3)).toEqual({ area: 3, box: [0, 0, 3, 1] });
  });

  it.each([
    ['an alien character', '0!', 1, 1],
    ['a character beyond ASCII', 'ı', 1, 1],
    ['an unfinished number', 'P', 4, 4],
    ['a number without end', 'o'.repeat(40), 4, 4],
    ['a negative run', 'O', 4, 4],
    ['too many pixels', 'h0', 4, 4],
    ['too few pixels', '3', 4, 4],
    ['nothing', '', 4, 4],
    ['endless empty runs', `${'0'.repeat(1000)}1`, 1, 1],
  ])('refuse %s', (_, counts, height, width) => {
    expect(() => core.rleDecode(counts, height, width)).toThrow(RangeError);
  });

  it('never do more than throw a RangeError on any string', () => {
    const alphabet = fc.string({
      unit: fc.integer({ min: 40, max: 115 }).map((c) => String.fromCharCode(c)),
      maxLength: 60,
    });
    fc.assert(
      fc.property(
        alphabet,
        fc.integer({ min: 1, max: 70 }),
        fc.integer({ min: 1, max: 70 }),
        (counts, height, width) => {
          try {
            const bits = core.rleDecode(counts, height, width);
            expect(bits.length).toBe(Math.ceil((height * width) / 8));
          } catch (error) {
            expect(error).toBeInstanceOf(RangeError);
          }
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('mask statistics', () => {
  it('count pixels and find the box', () => {
    fc.assert(
      fc.property(masks, ({ height, width, pixels }) => {
        const xs: number[] = [];
        const ys: number[] = [];
        for (let i = 0; i < pixels.length; i++) {
          if (!pixels[i]) continue;
          xs.push(i % width);
          ys.push(Math.floor(i / width));
        }
        const [x, y] = [Math.min(...xs), Math.min(...ys)];
        const box = xs.length === 0 ? [0, 0, 0, 0] : [x, y, Math.max(...xs) - x + 1, Math.max(...ys) - y + 1];
        expect(core.maskStatistics(packBits(pixels), height, width)).toEqual({ area: xs.length, box });
      }),
    );
  });

  it('count intersection and union', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (a) => {
        const b = a.map((byte, i) => byte ^ ((i * 37) & 0xff));
        const ones = (bytes: Uint8Array): number => unpackBits(bytes, 0, bytes.length * 8).reduce((s, v) => s + v, 0);
        expect(core.maskOverlap(a, b)).toEqual({
          intersection: ones(a.map((byte, i) => byte & b[i]!)),
          union: ones(a.map((byte, i) => byte | b[i]!)),
        });
      }),
    );
  });
});
