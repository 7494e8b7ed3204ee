import type { Mask } from '../masks/mask.js';
import type { Segmenter } from '../segmenter.js';
import type { FrameSample } from './data-set.js';
import { AveragePrecisionMeter, type ImageRecord } from './metrics/average-precision.js';
import { bestOverlap, type Overlap, overlapIou } from './metrics/best-prediction.js';
import type { SamplePicture } from './pictures.js';

/** Results of one annotated frame. */
export interface FrameRecord {
  readonly kind: 'frame';
  readonly id: string;
  readonly images: readonly {
    readonly image: string;
    readonly sentence: string;
    /** Score of the best prediction. */
    readonly score: number;
    readonly overlap: Overlap;
    readonly coco: ImageRecord;
  }[];
}

/** Network size of A2D-Sentences and JHMDB-Sentences, as published (model-spec §9.1). */
const preprocessing = { shortSide: 320, longSide: 576, antialias: true, sizeRule: 'data-set' } as const;

let streams = 0;

/**
 * Runs the window once for all its sentences and compares the masks of every object query, in the centre frame, with
 * the annotations (model-spec §8.2).
 */
export async function evaluateFrame(
  segmenter: Segmenter,
  sample: FrameSample,
  signal: AbortSignal | undefined,
): Promise<{ record: FrameRecord; pictures: SamplePicture[] }> {
  const tokenizer = await segmenter.model.tokenizer();
  const sentences = sample.targets.map(({ sentence }) => tokenizer.prepare(sentence));
  const texts = await segmenter.backend.encodeText(sentences, { ...(signal && { signal }) });
  // A stream of its own: windows of different samples share no frames.
  const window = { stream: --streams, start: 0, frames: sample.frames };
  const { sentences: found } = await segmenter.backend.segment(window, texts, {
    preprocessing,
    frames: [sample.centre],
    queries: 'all',
    ...(signal && { signal }),
  });
  const pictures: SamplePicture[] = [];
  const images = sample.targets.map(({ image, sentence, truth }, i) => {
    const { scores, masks } = found[i]!;
    const predictions = masks.map((mask, query) => ({ mask, score: scores[query]! }));
    const overlap = bestOverlap(truth, predictions);
    const best = bestPrediction(predictions);
    pictures.push({ id: image, sentence, frame: sample.frames[sample.centre]!, truth, predicted: best.mask });
    return { image, sentence, score: best.score, overlap, coco: AveragePrecisionMeter.record([truth], predictions) };
  });
  return { record: { kind: 'frame', id: sample.id, images }, pictures };
}

/** Quality of one image, for ranking. */
export function imageIou(image: FrameRecord['images'][number]): number {
  return overlapIou(image.overlap);
}

function bestPrediction(predictions: readonly { mask: Mask; score: number }[]): { mask: Mask; score: number } {
  return predictions.reduce((best, next) => (next.score >= best.score ? next : best));
}
