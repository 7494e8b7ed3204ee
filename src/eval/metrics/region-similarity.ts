import type { Mask } from '../../masks/mask.js';
import { maskOverlap } from '../../masks/statistics.js';

/** J of DAVIS (Perazzi et al., CVPR 2016, §4): intersection over union of two masks of one size, 1 if both are empty. */
export function regionSimilarity(truth: Mask, predicted: Mask): number {
  const { intersection, union } = maskOverlap(truth, predicted);
  return union === 0 ? 1 : intersection / union;
}
