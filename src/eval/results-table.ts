import { stringify } from 'csv-stringify/sync';
import { imageIou } from './frame-sample.js';
import type { SampleRecord } from './journal.js';

/** One sentence's quality, whatever kind of sample it came from. */
export interface RankedSentence {
  /** Id of its picture. */
  readonly id: string;
  readonly sentence: string;
  /** IoU of the best prediction, or J&F; undefined where it cannot be measured. */
  readonly quality: number | undefined;
}

/** Every sentence that was evaluated, in order. */
export function rankedSentences(records: readonly SampleRecord[]): RankedSentence[] {
  return records.flatMap((record) =>
    record.kind === 'frame'
      ? record.images.map((image) => ({ id: image.image, sentence: image.sentence, quality: imageIou(image) }))
      : record.expressions.map(({ id, sentence, j, f }) => ({
          id: `${record.id}-${id}`,
          sentence,
          quality: j && f ? (j.mean + f.mean) / 2 : undefined,
        })),
  );
}

/** The per-sample CSV: one row a sentence. */
export function resultsCsv(records: readonly SampleRecord[]): string {
  const rows = records.flatMap((record): Record<string, unknown>[] =>
    record.kind === 'frame'
      ? record.images.map((image) => ({
          sample: record.id,
          id: image.image,
          sentence: image.sentence,
          score: image.score,
          iou: imageIou(image),
          intersection: image.overlap.intersection,
          union: image.overlap.union,
        }))
      : record.expressions.map(({ id, sentence, truth, score, frames, annotated, j, f, anyMask, allEmpty }) => ({
          ...{ sample: record.id, id, sentence, score, truth, frames, annotated },
          ...{ j: j?.mean, f: f?.mean, j_recall: j?.recall, f_recall: f?.recall, j_decay: j?.decay, f_decay: f?.decay },
          ...{ any_mask: anyMask, all_empty: allEmpty },
        })),
  );
  // A text that a spreadsheet would take for a formula is kept from it.
  return stringify(rows, { header: true, escape_formulas: true, cast: { boolean: (value) => String(value) } });
}
