import { loadCore } from '../native/load-core.js';
import type { Mask } from './mask.js';
import { checkMask, checkSameSize } from './pixels.js';

/** [x, y, width, height] in pixels; all 0 for an empty mask. */
export type Box = readonly [number, number, number, number];

/** Pixels set and their bounding box. */
export function maskStatistics(mask: Mask): { readonly area: number; readonly box: Box } {
  checkMask(mask);
  return loadCore().maskStatistics(mask.bits, mask.height, mask.width);
}

/** Pixels that both masks, and that at least one of them, has set. Throws `RvosError` BAD_ARGUMENT when sizes differ. */
export function maskOverlap(a: Mask, b: Mask): { readonly intersection: number; readonly union: number } {
  checkSameSize(a, b);
  checkMask(a);
  checkMask(b);
  return loadCore().maskOverlap(a.bits, b.bits);
}
