import type { Mask } from '../../masks/mask.js';
import { maskOverlap, maskStatistics } from '../../masks/statistics.js';
import { average } from './sequence-statistics.js';

/** COCO's summary for masks of one category: averages over IoU 0.50 … 0.95, and by area of the object. */
export interface AveragePrecision {
  readonly all: number;
  readonly at50: number;
  readonly at75: number;
  /** Area below 32² pixels, below 96², and from there. NaN where there is no such object. */
  readonly small: number;
  readonly medium: number;
  readonly large: number;
}

const thresholds = Array.from({ length: 10 }, (_, i) => 0.5 + 0.05 * i);
/** 0, 0.01 … 1: where precision is read off. */
const recallLevels = Array.from({ length: 101 }, (_, i) => i / 100);
/** Best predictions of an image that count. */
const maxDetections = 100;
const areas = {
  all: [0, 1e10],
  small: [0, 32 ** 2],
  medium: [32 ** 2, 96 ** 2],
  large: [96 ** 2, 1e10],
} as const;
type AreaName = keyof typeof areas;

/** What is needed of one image once its masks are gone: IoUs, areas and scores. */
export interface ImageRecord {
  /** Best score first. */
  readonly scores: readonly number[];
  readonly predictedAreas: readonly number[];
  readonly truthAreas: readonly number[];
  /** [prediction][truth] */
  readonly ious: readonly (readonly number[])[];
}

interface Match {
  readonly score: number;
  readonly truePositive: boolean;
}

/**
 * Average precision as COCO defines it for segmentation, categories not told apart (`useCats = 0`), up to 100 predictions
 * an image. Images are added one at a time and only numbers are kept of them.
 */
export class AveragePrecisionMeter {
  readonly #images = new Map<string, ImageRecord>();

  /** All that belongs to one image. Throws `RvosError` BAD_ARGUMENT when sizes differ; Error for an image added twice. */
  add(image: string, truths: readonly Mask[], predictions: readonly { mask: Mask; score: number }[]): void {
    this.addRecord(image, AveragePrecisionMeter.record(truths, predictions));
  }

  /** The numbers that count of an image, plain data, so that they can be stored between runs. */
  static record(truths: readonly Mask[], predictions: readonly { mask: Mask; score: number }[]): ImageRecord {
    // A stable sort: of equal scores the earlier prediction stays first, as with numpy's mergesort.
    const best = [...predictions].sort((a, b) => b.score - a.score).slice(0, maxDetections);
    return {
      scores: best.map(({ score }) => score),
      predictedAreas: best.map(({ mask }) => maskStatistics(mask).area),
      truthAreas: truths.map((mask) => maskStatistics(mask).area),
      ious: best.map(({ mask }) =>
        truths.map((truth) => {
          const { intersection, union } = maskOverlap(truth, mask);
          return union === 0 ? 0 : intersection / union;
        }),
      ),
    };
  }

  addRecord(image: string, record: ImageRecord): void {
    if (this.#images.has(image)) throw new Error(`image ${image} was added twice`);
    this.#images.set(image, record);
  }

  result(): AveragePrecision {
    const over = (area: AreaName, at: readonly number[]) => average(at.map((iou) => this.#precision(area, iou)));
    return {
      all: over('all', thresholds),
      at50: over('all', [thresholds[0]!]),
      at75: over('all', [thresholds[5]!]),
      small: over('small', thresholds),
      medium: over('medium', thresholds),
      large: over('large', thresholds),
    };
  }

  /** Mean of the interpolated precision over the recall levels; NaN when no object is of that area. */
  #precision(area: AreaName, threshold: number): number {
    let objects = 0;
    const matches: Match[] = [];
    // In order of the image ids, so that equal scores of different images keep COCO's order.
    for (const [, image] of [...this.#images].sort(([a], [b]) => compareIds(a, b))) {
      const found = matchImage(image, areas[area], threshold);
      objects += found.objects;
      matches.push(...found.matches);
    }
    if (objects === 0) return Number.NaN;
    matches.sort((a, b) => b.score - a.score);
    const recall: number[] = [];
    const precision: number[] = [];
    let right = 0;
    matches.forEach(({ truePositive }, i) => {
      if (truePositive) right++;
      recall.push(right / objects);
      precision.push(right / (i + 1 + Number.EPSILON));
    });
    for (let i = precision.length - 1; i > 0; i--) precision[i - 1] = Math.max(precision[i - 1]!, precision[i]!);
    let at = 0;
    const read = recallLevels.map((level) => {
      while (at < recall.length && recall[at]! < level) at++;
      return precision[at] ?? 0;
    });
    return average(read);
  }
}

/** Matches predictions, best first, to the object they overlap most; those outside the area range do not count. */
function matchImage(
  { scores, predictedAreas, truthAreas, ious }: ImageRecord,
  [least, most]: readonly [number, number],
  threshold: number,
): { objects: number; matches: Match[] } {
  const ignored = truthAreas.map((area) => area < least || area > most);
  const order = truthAreas.map((_, i) => i).sort((a, b) => Number(ignored[a]) - Number(ignored[b]));
  const taken = new Set<number>();
  const matches: Match[] = [];
  scores.forEach((score, p) => {
    let best = -1;
    let iou = Math.min(threshold, 1 - 1e-10);
    for (const t of order) {
      if (taken.has(t)) continue;
      // Ignored objects come last: once a counted one matches, they are not looked at.
      if (best >= 0 && !ignored[best] && ignored[t]) break;
      if (ious[p]![t]! < iou) continue;
      iou = ious[p]![t]!;
      best = t;
    }
    if (best >= 0) taken.add(best);
    const outside = predictedAreas[p]! < least || predictedAreas[p]! > most;
    const counts = best >= 0 ? !ignored[best] : !outside;
    if (counts) matches.push({ score, truePositive: best >= 0 });
  });
  return { objects: ignored.filter((value) => !value).length, matches };
}

function compareIds(a: string, b: string): number {
  const [x, y] = [Number(a), Number(b)];
  if (Number.isFinite(x) && Number.isFinite(y)) return x - y;
  return a < b ? -1 : a > b ? 1 : 0;
}
