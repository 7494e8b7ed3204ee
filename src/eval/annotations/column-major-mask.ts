import type { Mask } from '../../masks/mask.js';
import { maskFromPixels } from '../../masks/pixels.js';

/** A mask that MATLAB wrote, column after column: `at(i)` is its i-th value; those above 0 are set. */
export function columnMajorMask(at: (index: number) => number, width: number, height: number): Mask {
  const pixels = new Uint8Array(width * height);
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) pixels[y * width + x] = at(x * height + y) > 0 ? 1 : 0;
  }
  return maskFromPixels(pixels, width, height, 1);
}
