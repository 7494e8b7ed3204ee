import type { Mask } from '../../src/masks/mask.js';
import { maskOverlap } from '../../src/masks/statistics.js';

/** Intersection over union of two lists of masks, all frames counted together; 1 where both are empty. */
export function overlap(a: readonly Mask[], b: readonly Mask[]): number {
  if (a.length !== b.length) throw new Error(`${a.length} masks and ${b.length}`);
  let intersection = 0;
  let union = 0;
  for (const [i, mask] of a.entries()) {
    const both = maskOverlap(mask, b[i]!);
    intersection += both.intersection;
    union += both.union;
  }
  return union === 0 ? 1 : intersection / union;
}
