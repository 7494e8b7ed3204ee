/**
 * A binary mask, bit-packed: bit 7 of byte 0 is pixel (0,0), pixels row-major over the whole frame (rows are not
 * padded), `ceil(height·width / 8)` bytes; unused bits of the last byte are 0. Same layout as `numpy.packbits`.
 */
export interface Mask {
  readonly width: number;
  readonly height: number;
  readonly bits: Uint8Array;
}

export function maskByteLength(width: number, height: number): number {
  return Math.ceil((width * height) / 8);
}

/** A mask of which no pixel is set. */
export function emptyMask({ width, height }: { readonly width: number; readonly height: number }): Mask {
  return { width, height, bits: new Uint8Array(maskByteLength(width, height)) };
}
