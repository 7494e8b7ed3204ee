import { RvosError } from '../errors.js';
import { type Mask, maskByteLength } from './mask.js';

/** One byte a pixel, row-major [height, width]: 0 or `foreground`. */
export function maskToPixels(mask: Mask, foreground = 255): Uint8Array {
  checkMask(mask);
  const pixels = new Uint8Array(mask.width * mask.height);
  for (let i = 0; i < mask.bits.length; i++) {
    const byte = mask.bits[i]!;
    if (byte === 0) continue;
    for (let bit = 0; bit < 8; bit++) {
      // Writes beyond the last pixel fall off the end of the array.
      if (byte & (0x80 >> bit)) pixels[i * 8 + bit] = foreground;
    }
  }
  return pixels;
}

/** The reverse: pixels of at least `threshold` are set. `pixels` is uint8 [height, width]. */
export function maskFromPixels(pixels: Uint8Array, width: number, height: number, threshold = 128): Mask {
  if (pixels.length !== width * height) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `${pixels.length} pixels do not make a mask of ${height}×${width}`,
      'Give one byte a pixel, rows not padded.',
    );
  }
  const bits = new Uint8Array(maskByteLength(width, height));
  for (let i = 0; i < pixels.length; i++) {
    if (pixels[i]! >= threshold) bits[i >> 3]! |= 0x80 >> (i & 7);
  }
  return { width, height, bits };
}

/** Throws `RvosError` BAD_ARGUMENT when the bits do not fit the size. */
export function checkMask(mask: Mask): void {
  const expected = maskByteLength(mask.width, mask.height);
  if (mask.bits.length === expected) return;
  throw new RvosError(
    'BAD_ARGUMENT',
    `a mask of ${mask.height}×${mask.width} has ${mask.bits.length} bytes instead of ${expected}`,
    'Bits are packed over the whole frame, rows not padded.',
  );
}

/** Throws `RvosError` BAD_ARGUMENT unless mask and picture have one size. */
export function checkSameSize(mask: Mask, picture: { readonly width: number; readonly height: number }): void {
  if (mask.width === picture.width && mask.height === picture.height) return;
  throw new RvosError(
    'BAD_ARGUMENT',
    `a mask of ${mask.height}×${mask.width} does not fit a picture of ${picture.height}×${picture.width}`,
    'Use the masks of the same frame.',
  );
}
