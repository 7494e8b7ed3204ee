import { describe, expect, it } from 'vitest';
import { fromBfloat16, fromHalf, toHalf } from '../../src/tensors/float16.js';

const every = Uint16Array.from({ length: 65536 }, (_, i) => i);

function half(value: number): number {
  const target = new Uint16Array(1);
  expect(toHalf(Float32Array.of(value), target)).toBeUndefined();
  return target[0]!;
}

describe('float16', () => {
  it('reads every value by its definition', () => {
    const values = fromHalf(every);
    for (let h = 0; h < 65536; h++) {
      const [exponent, mantissa] = [(h >> 10) & 31, h & 1023];
      const magnitude =
        exponent === 0
          ? mantissa * 2 ** -24
          : exponent === 31
            ? mantissa === 0
              ? Number.POSITIVE_INFINITY
              : Number.NaN
            : (1 + mantissa / 1024) * 2 ** (exponent - 15);
      expect(values[h]).toBe(h & 0x8000 ? -magnitude : magnitude);
    }
  });

  it('writes every finite value back to its own bits', () => {
    const finite = every.filter((h) => ((h >> 10) & 31) !== 31);
    const back = new Uint16Array(finite.length);
    expect(toHalf(fromHalf(finite), back)).toBeUndefined();
    expect(back).toEqual(finite);
  });

  it('rounds to nearest, ties to even, between any two neighbours', () => {
    for (let h = 0; h < 0x7bff; h++) {
      const [low, high] = fromHalf(Uint16Array.of(h, h + 1));
      const middle = (low! + high!) / 2; // exact in float32
      const even = h % 2 === 0 ? h : h + 1;
      expect(half(middle)).toBe(even);
      expect(half(-middle)).toBe(even | 0x8000);
      expect(half(middle - middle * 1e-6)).toBe(h);
      expect(half(middle + middle * 1e-6)).toBe(h + 1);
    }
  });

  it.each([65520, -65520, 1e30, Number.POSITIVE_INFINITY, Number.NaN])('reports %d as out of range', (value) => {
    expect(toHalf(Float32Array.of(0, value), new Uint16Array(2))).toEqual({ index: 1, value: Math.fround(value) });
  });

  it('still rounds the largest value that fits', () => {
    expect(half(65519.99)).toBe(0x7bff);
    expect(half(2 ** -25)).toBe(0);
    expect(half(2 ** -25 * 1.001)).toBe(1);
  });

  it('reads bfloat16 as the upper half of a float32', () => {
    expect(Array.from(fromBfloat16(Uint16Array.of(0x3f80, 0xc020, 0x0001)))).toEqual([1, -2.5, 2 ** -133]);
  });
});
