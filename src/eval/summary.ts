import type { FrameRecord } from './frame-sample.js';
import type { SampleRecord } from './journal.js';
import { AveragePrecisionMeter } from './metrics/average-precision.js';
import { bestPredictionFigures } from './metrics/best-prediction.js';
import { average } from './metrics/sequence-statistics.js';
import type { ExpressionRecord, TrackRecord } from './track-sample.js';

/** What the papers report for A2D-Sentences and JHMDB-Sentences. Shares from 0 to 1; null where nothing counts. */
export interface FrameFigures {
  readonly images: number;
  readonly map: number | null;
  readonly ap50: number | null;
  readonly ap75: number | null;
  readonly ap_small: number | null;
  readonly ap_medium: number | null;
  readonly ap_large: number | null;
  readonly precision_at: Readonly<Record<string, number>>;
  readonly overall_iou: number;
  readonly mean_iou: number;
}

/** J&F over tracks, and how well the score tells sentences that refer to nothing. */
export interface TrackFigures {
  readonly expressions: number;
  /** Sentences with annotated frames. */
  readonly annotated: number;
  readonly j_and_f: number | null;
  readonly j: number | null;
  readonly f: number | null;
  readonly j_recall: number | null;
  readonly f_recall: number | null;
  /** Sentences that refer to nothing, and the share of them that got a mask over 0.1 % of a frame. */
  readonly absent: number;
  readonly false_masks: number | null;
  /** Share of sentences about an object whose masks are all empty. */
  readonly missed: number | null;
  /** Area under the ROC curve of the score, present against absent sentences. */
  readonly auroc: number | null;
}

export type Figures = FrameFigures | TrackFigures;

export function summarise(records: readonly SampleRecord[]): Figures | undefined {
  const frames = records.filter((record): record is FrameRecord => record.kind === 'frame');
  if (frames.length > 0) return frameFigures(frames);
  const tracks = records.filter((record): record is TrackRecord => record.kind === 'track');
  return tracks.length > 0 ? trackFigures(tracks.flatMap(({ expressions }) => expressions)) : undefined;
}

function frameFigures(records: readonly FrameRecord[]): FrameFigures {
  const meter = new AveragePrecisionMeter();
  const images = records.flatMap((record) => record.images);
  for (const { image, coco } of images) meter.addRecord(image, coco);
  const ap = meter.result();
  const best = bestPredictionFigures(images.map(({ overlap }) => overlap));
  return {
    images: images.length,
    map: finite(ap.all),
    ap50: finite(ap.at50),
    ap75: finite(ap.at75),
    ap_small: finite(ap.small),
    ap_medium: finite(ap.medium),
    ap_large: finite(ap.large),
    precision_at: best.precisionAt,
    overall_iou: best.overallIou,
    mean_iou: best.meanIou,
  };
}

function trackFigures(expressions: readonly ExpressionRecord[]): TrackFigures {
  const measured = expressions.flatMap(({ j, f }) => (j && f ? [{ j, f }] : []));
  const present = expressions.filter(({ truth }) => truth === 'masks');
  const absent = expressions.filter(({ truth }) => truth === 'absent');
  const mean = (of: (track: (typeof measured)[number]) => number) => finite(average(measured.map(of)));
  const [j, f] = [mean((track) => track.j.mean), mean((track) => track.f.mean)];
  const share = (of: readonly ExpressionRecord[], what: (record: ExpressionRecord) => boolean) =>
    finite(average(of.map((record) => (what(record) ? 1 : 0))));
  return {
    expressions: expressions.length,
    annotated: measured.length,
    j_and_f: j === null || f === null ? null : (j + f) / 2,
    j,
    f,
    j_recall: mean((track) => track.j.recall),
    f_recall: mean((track) => track.f.recall),
    absent: absent.length,
    false_masks: share(absent, ({ anyMask }) => anyMask),
    missed: share(present, ({ allEmpty }) => allEmpty),
    auroc: auroc(
      present.map(({ score }) => score),
      absent.map(({ score }) => score),
    ),
  };
}

/** Probability that a score of `positive` exceeds one of `negative`, ties counting half; null if either is empty. */
export function auroc(positive: readonly number[], negative: readonly number[]): number | null {
  if (positive.length === 0 || negative.length === 0) return null;
  const all = [
    ...positive.map((score) => ({ score, positive: true })),
    ...negative.map((score) => ({ score, positive: false })),
  ];
  all.sort((a, b) => a.score - b.score);
  let below = 0;
  let wins = 0;
  for (let i = 0; i < all.length; ) {
    let end = i;
    while (end < all.length && all[end]!.score === all[i]!.score) end++;
    const tied = all.slice(i, end);
    const negatives = tied.filter((entry) => !entry.positive).length;
    wins += (tied.length - negatives) * (below + negatives / 2);
    below += negatives;
    i = end;
  }
  return wins / (positive.length * negative.length);
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
