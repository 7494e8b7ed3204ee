import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import { AveragePrecisionMeter } from '../../src/eval/metrics/average-precision.js';
import { bestOverlap, bestPredictionFigures } from '../../src/eval/metrics/best-prediction.js';
import { boundaryAccuracy, boundaryTolerance } from '../../src/eval/metrics/boundary-accuracy.js';
import { regionSimilarity } from '../../src/eval/metrics/region-similarity.js';
import { average, sequenceStatistics } from '../../src/eval/metrics/sequence-statistics.js';
import { emptyMask } from '../../src/masks/mask.js';
import { type CocoRle, decodeRle } from '../../src/masks/rle.js';

interface Statistics {
  readonly gt: readonly CocoRle[];
  readonly pred: readonly CocoRle[];
  readonly J_per_frame: readonly number[];
  readonly F_per_frame: readonly number[];
  readonly J_mean_recall_decay: readonly number[];
  readonly F_mean_recall_decay: readonly number[];
  readonly J_and_F: number;
}
interface Golden {
  readonly pairs: readonly {
    name: string;
    H: number;
    W: number;
    gt_rle: CocoRle;
    pred_rle: CocoRle;
    J: number;
    F: number;
    bound_pix: number;
  }[];
  readonly sequence: Statistics;
  readonly coco: {
    readonly ground_truth: {
      readonly images: readonly { id: string | number }[];
      readonly annotations: readonly { image_id: string | number; segmentation: CocoRle }[];
    };
    readonly predictions: readonly { image_id: string | number; segmentation: CocoRle; score: number }[];
    readonly figures: Readonly<Record<string, number>>;
  };
}

const golden = JSON.parse(await readFile('test/goldens/metrics.json', 'utf8')) as Golden;
const close = 1e-6;

describe('J and F equal the reference', () => {
  it.each(golden.pairs)('$name', ({ H, W, gt_rle, pred_rle, J, F, bound_pix }) => {
    const [truth, predicted] = [decodeRle(gt_rle), decodeRle(pred_rle)];
    expect(boundaryTolerance(H, W)).toBe(bound_pix);
    expect(Math.abs(regionSimilarity(truth, predicted) - J)).toBeLessThan(close);
    expect(Math.abs(boundaryAccuracy(truth, predicted) - F)).toBeLessThan(close);
  });

  it('the statistics of a sequence', () => {
    const { gt, pred, ...expected } = golden.sequence;
    const pairs = gt.map((truth, i) => [decodeRle(truth), decodeRle(pred[i]!)] as const);
    const j = pairs.map(([truth, predicted]) => regionSimilarity(truth, predicted));
    const f = pairs.map(([truth, predicted]) => boundaryAccuracy(truth, predicted));
    for (const [found, values, figures] of [
      [j, expected.J_per_frame, expected.J_mean_recall_decay],
      [f, expected.F_per_frame, expected.F_mean_recall_decay],
    ] as const) {
      found.forEach((value, i) => {
        expect(Math.abs(value - values[i]!)).toBeLessThan(close);
      });
      const { mean, recall, decay } = sequenceStatistics(found);
      [mean, recall, decay].forEach((value, i) => {
        expect(Math.abs(value - figures[i]!)).toBeLessThan(close);
      });
    }
    expect(Math.abs((average(j) + average(f)) / 2 - expected.J_and_F)).toBeLessThan(close);
  });
});

it('COCO average precision and the figures of the best prediction equal the reference', () => {
  const { ground_truth: truth, predictions, figures } = golden.coco;
  const meter = new AveragePrecisionMeter();
  const overlaps = truth.images.map(({ id }) => {
    const masks = truth.annotations.filter((a) => a.image_id === id).map((a) => decodeRle(a.segmentation));
    const found = predictions
      .filter((p) => p.image_id === id)
      .map((p) => ({ mask: decodeRle(p.segmentation), score: p.score }));
    meter.add(String(id), masks, found);
    return bestOverlap(masks[0]!, found);
  });
  const ap = meter.result();
  const best = bestPredictionFigures(overlaps);
  const found: Record<string, number> = {
    'mAP 0.5:0.95': ap.all,
    'AP 0.5': ap.at50,
    'AP 0.75': ap.at75,
    'AP 0.5:0.95 S': ap.small,
    'AP 0.5:0.95 M': ap.medium,
    'AP 0.5:0.95 L': ap.large,
    ...Object.fromEntries(Object.entries(best.precisionAt).map(([at, value]) => [`P@${at}`, value])),
    overall_iou: best.overallIou,
    mean_iou: best.meanIou,
  };
  expect(Object.keys(found).sort()).toEqual(Object.keys(figures).sort());
  for (const [name, value] of Object.entries(figures)) expect(Math.abs(found[name]! - value), name).toBeLessThan(close);
});

it('an image without an object of its size does not count, and one without predictions costs recall', () => {
  const size = { width: 8, height: 8 };
  const full = { ...size, bits: new Uint8Array(8).fill(255) };
  const meter = new AveragePrecisionMeter();
  meter.add('1', [full], [{ mask: full, score: 0.9 }]);
  meter.add('2', [full], [{ mask: emptyMask(size), score: 0.95 }]);
  const { all, large } = meter.result();
  // Ranked second of two, one of two objects found: precision ½ up to recall ½ (51 of 101 levels).
  expect(all).toBeCloseTo((0.5 * 51) / 101, 10);
  expect(large).toBeNaN();
});

it('boundaries of empty masks', () => {
  const size = { width: 5, height: 4 };
  const dot = { ...size, bits: Uint8Array.of(0, 0x10, 0) };
  expect(boundaryAccuracy(emptyMask(size), emptyMask(size))).toBe(1);
  expect(boundaryAccuracy(dot, emptyMask(size))).toBe(0);
  expect(regionSimilarity(emptyMask(size), emptyMask(size))).toBe(1);
});
