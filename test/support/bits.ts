/** `count` bits from bit `start` on, first bit highest, as 0 and 1. */
export function unpackBits(packed: Uint8Array, start: number, count: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => {
    const bit = start + i;
    return (packed[bit >> 3]! >> (7 - (bit & 7))) & 1;
  });
}

export function packBits(pixels: ArrayLike<number>): Uint8Array {
  const packed = new Uint8Array(Math.ceil(pixels.length / 8));
  for (let i = 0; i < pixels.length; i++) if (pixels[i]) packed[i >> 3]! |= 0x80 >> (i & 7);
  return packed;
}

/** Share of positions at which two arrays differ. */
export function shareDifferent(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) throw new Error(`lengths differ: ${a.length} and ${b.length}`);
  let different = 0;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) different++;
  return different / a.length;
}
