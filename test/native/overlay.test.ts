import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';
import { packBits, unpackBits } from '../support/bits.js';
import { bytesOf, goldenPath, readGoldens, shapeOf } from '../support/safetensors.js';

const core = loadCore();

describe('overlay', () => {
  const tensors = readGoldens(goldenPath('e2e/e2e.safetensors'));
  const notes = JSON.parse(readFileSync(goldenPath('e2e/e2e.json'), 'utf8')) as Record<string, number[]>;
  const [frameCount, height, width] = shapeOf(tensors, 'frames') as [number, number, number];
  const pixels = height * width;

  it.each(['small', 'exact360'])('equals the published rendering (%s)', async (variant) => {
    const frames = bytesOf(tensors, 'frames');
    const packed = bytesOf(tensors, `${variant}.masks_packed`);
    const expected = bytesOf(tensors, `${variant}.overlay`);
    for (const [i, t] of notes[`${variant}.overlay_frame_indices`]!.entries()) {
      const masks = [0, 1].map((q) => packBits(unpackBits(packed, (q * frameCount + t) * pixels, pixels)));
      const target = new Uint8Array(pixels * 3);
      const source = frames.subarray(t * pixels * 3, (t + 1) * pixels * 3);
      const colors = Uint8Array.of(41, 171, 226, 237, 30, 121);
      await core.overlay({ source, height, width, masks, colors, alpha: 0.7, target });
      expect(Buffer.compare(target, expected.subarray(i * pixels * 3, (i + 1) * pixels * 3))).toBe(0);
    }
  });

  it('blends any number of masks in order', async () => {
    const shape = fc.record({
      height: fc.integer({ min: 1, max: 20 }),
      width: fc.integer({ min: 1, max: 20 }),
      count: fc.nat(11),
      alpha: fc.double({ min: 0, max: 1, noNaN: true }),
    });
    await fc.assert(
      fc.asyncProperty(shape, fc.infiniteStream(fc.nat(255)), async ({ height, width, count, alpha }, levels) => {
        const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => levels.next().value as number);
        const pixels = height * width;
        const source = bytes(pixels * 3);
        const covers = Array.from({ length: count }, () => bytes(pixels).map((level) => level & 1));
        const colors = bytes(count * 3);
        const target = new Uint8Array(pixels * 3);
        await core.overlay({ source, height, width, masks: covers.map(packBits), colors, alpha, target });
        const weight = Math.fround(alpha);
        const expected = source.map((level, i) => {
          let value = level / 255;
          for (const [m, cover] of covers.entries()) {
            if (!cover[Math.floor(i / 3)]) continue;
            value = (colors[m * 3 + (i % 3)]! / 255) * weight + value * Math.fround(1 - weight);
          }
          return Math.trunc(value * 255);
        });
        expect(target).toEqual(expected);
      }),
    );
  });
});
