import type { Mask } from '../../masks/mask.js';
import { maskOverlap } from '../../masks/statistics.js';

/** What the papers report of the best scored prediction of each image (A2D-Sentences; Gavrilyuk et al., CVPR 2018, §5.1). */
export interface BestPredictionFigures {
  /** Share of images whose IoU exceeds 0.5, 0.6 … 0.9. */
  readonly precisionAt: Readonly<Record<'0.5' | '0.6' | '0.7' | '0.8' | '0.9', number>>;
  /** Sum of intersections over sum of unions. */
  readonly overallIou: number;
  /** Mean of the images' IoU. */
  readonly meanIou: number;
}

/** Pixels of one image's best prediction and its object. */
export interface Overlap {
  readonly intersection: number;
  readonly union: number;
}

/** Overlap of the best scored prediction; of equal scores the last one counts, as in the original evaluation. */
export function bestOverlap(truth: Mask, predictions: readonly { mask: Mask; score: number }[]): Overlap {
  let best = predictions[0];
  for (const prediction of predictions) if (best && prediction.score >= best.score) best = prediction;
  if (!best) throw new Error('an image without predictions');
  return maskOverlap(truth, best.mask);
}

export function overlapIou({ intersection, union }: Overlap): number {
  return (intersection + 1e-6) / (union + 1e-6);
}

export function bestPredictionFigures(overlaps: readonly Overlap[]): BestPredictionFigures {
  const ious = overlaps.map(overlapIou);
  const above = (limit: number) => ious.filter((iou) => iou > limit).length / ious.length;
  const sum = (key: keyof Overlap) => overlaps.reduce((total, overlap) => total + overlap[key], 0);
  return {
    precisionAt: { '0.5': above(0.5), '0.6': above(0.6), '0.7': above(0.7), '0.8': above(0.8), '0.9': above(0.9) },
    overallIou: overlapIou({ intersection: sum('intersection'), union: sum('union') }),
    meanIou: ious.reduce((total, iou) => total + iou, 0) / ious.length,
  };
}
