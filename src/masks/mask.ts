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
