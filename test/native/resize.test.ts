import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';
import { bytesOf, goldenPath, readGoldens } from '../support/safetensors.js';

const core = loadCore();

interface Size {
  height: number;
  width: number;
}

async function resize(source: Uint8Array, from: Size, to: Size, antialias: boolean): Promise<Uint8Array> {
  const target = new Uint8Array(to.height * to.width * 3);
  await core.resize({ source, ...from, target, targetHeight: to.height, targetWidth: to.width, antialias });
  return target;
}

function compare(actual: Uint8Array, expected: Uint8Array): { worst: number; equal: number } {
  expect(actual.length).toBe(expected.length);
  let worst = 0;
  let equal = 0;
  for (let i = 0; i < actual.length; i++) {
    const difference = Math.abs(actual[i]! - expected[i]!);
    worst = Math.max(worst, difference);
    if (difference === 0) equal++;
  }
  return { worst, equal: equal / actual.length };
}

function toChannelsLast(planes: Uint8Array, { height, width }: Size): Uint8Array {
  const pixels = height * width;
  return Uint8Array.from({ length: pixels * 3 }, (_, i) => planes[(i % 3) * pixels + Math.floor(i / 3)]!);
}

/** The definition in float64: every target pixel is a normalised weighted sum over the whole source. */
function referenceResize(source: Uint8Array, from: Size, to: Size, antialias: boolean): Float64Array {
  const down = axisWeights(from.height, to.height, antialias);
  const across = axisWeights(from.width, to.width, antialias);
  const out = new Float64Array(to.height * to.width * 3);
  for (let y = 0; y < to.height; y++) {
    for (let x = 0; x < to.width; x++) {
      for (const [sy, wy] of down[y]!) {
        for (const [sx, wx] of across[x]!) {
          for (let c = 0; c < 3; c++) {
            out[(y * to.width + x) * 3 + c]! += wy * wx * source[(sy * from.width + sx) * 3 + c]!;
          }
        }
      }
    }
  }
  return out;
}

function axisWeights(source: number, target: number, antialias: boolean): [number, number][][] {
  const scale = source / target;
  const stretch = antialias ? Math.max(scale, 1) : 1;
  return Array.from({ length: target }, (_, i) => {
    const center = scale * (i + 0.5) - 0.5;
    // Without antialias the centre is clamped into the image; with it, the filter is cut off and normalised.
    const at = antialias ? center : Math.min(Math.max(center, 0), source - 1);
    const weights: [number, number][] = [];
    for (let s = 0; s < source; s++) {
      const weight = 1 - Math.abs(s - at) / stretch;
      if (weight > 0) weights.push([s, weight]);
    }
    const total = weights.reduce((sum, [, weight]) => sum + weight, 0);
    return weights.map(([s, weight]): [number, number] => [s, weight / total]);
  });
}

describe('resize', () => {
  const goldens = readGoldens(goldenPath('preproc.safetensors'));
  const { cases } = JSON.parse(readFileSync(goldenPath('preproc.json'), 'utf8')) as {
    cases: { H: number; W: number; modelscope_tensor_size: [number, number] }[];
  };
  for (const [index, { H, W, modelscope_tensor_size: target }] of cases.entries()) {
    for (const antialias of [true, false]) {
      it(`equals torchvision: ${H}×${W} to ${target.join('×')}, antialias ${antialias}`, async () => {
        const to = { height: target[0], width: target[1] };
        const planes = bytesOf(goldens, `${index}.tensor_resized_antialias_${antialias}`);
        const actual = await resize(bytesOf(goldens, `${index}.frame`), { height: H, width: W }, to, antialias);
        const { worst, equal } = compare(actual, toChannelsLast(planes, to));
        expect(worst).toBeLessThanOrEqual(1);
        expect(equal).toBeGreaterThanOrEqual(0.99);
      });
    }
  }

  it('equals the frames the published pipeline resized: 64×96 to 80×120', async () => {
    const clip = readGoldens(goldenPath('e2e/e2e.safetensors'));
    const [from, to] = [
      { height: 64, width: 96 },
      { height: 80, width: 120 },
    ];
    const frameBytes = 64 * 96 * 3;
    const resizedBytes = 80 * 120 * 3;
    for (let t = 0; t < 4; t++) {
      const source = bytesOf(clip, 'frames').subarray(t * frameBytes, (t + 1) * frameBytes);
      const planes = bytesOf(clip, 'small.resized_uint8_first4').subarray(t * resizedBytes, (t + 1) * resizedBytes);
      const { worst, equal } = compare(await resize(source, from, to, true), toChannelsLast(planes, to));
      expect(worst).toBeLessThanOrEqual(1);
      expect(equal).toBeGreaterThanOrEqual(0.998);
    }
  });

  it('is within rounding of the definition for any sizes', async () => {
    const side = fc.integer({ min: 1, max: 40 });
    const property = fc.asyncProperty(
      side,
      side,
      side,
      side,
      fc.boolean(),
      fc.infiniteStream(fc.nat(255)),
      async (h, w, th, tw, antialias, levels) => {
        const source = Uint8Array.from({ length: h * w * 3 }, () => levels.next().value as number);
        const from = { height: h, width: w };
        const to = { height: th, width: tw };
        const actual = await resize(source, from, to, antialias);
        const expected = referenceResize(source, from, to, antialias);
        const worst = actual.reduce((most, level, i) => Math.max(most, Math.abs(level - expected[i]!)), 0);
        expect(worst).toBeLessThanOrEqual(0.5 + 1e-3);
      },
    );
    await fc.assert(property, { numRuns: 150 });
  });

  it('rounds half to even', async () => {
    // Halving the width without antialias averages neighbours: 0,1 → 0.5 → 0 and 1,2 → 1.5 → 2.
    const source = Uint8Array.from([0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2]);
    const actual = await resize(source, { height: 1, width: 4 }, { height: 1, width: 2 }, false);
    expect([...actual]).toEqual([0, 0, 0, 2, 2, 2]);
  });

  it.each([
    [
      { height: 1, width: 1 },
      { height: 7, width: 5 },
    ],
    [
      { height: 1, width: 9000 },
      { height: 1, width: 640 },
    ],
    [
      { height: 5000, width: 1 },
      { height: 1, width: 1 },
    ],
    [
      { height: 4320, width: 7680 },
      { height: 360, width: 640 },
    ],
    [
      { height: 2, width: 3 },
      { height: 400, width: 600 },
    ],
  ])('keeps a constant picture constant: %o to %o', async (from, to) => {
    for (const antialias of [true, false]) {
      const actual = await resize(new Uint8Array(from.height * from.width * 3).fill(201), from, to, antialias);
      expect(actual.every((level) => level === 201)).toBe(true);
    }
  });

  it('copies when the size stays', async () => {
    const source = Uint8Array.from({ length: 30 }, (_, i) => i * 7);
    expect(await resize(source, { height: 2, width: 5 }, { height: 2, width: 5 }, true)).toEqual(source);
  });
});
