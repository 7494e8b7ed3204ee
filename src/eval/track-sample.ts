import { RvosError } from '../errors.js';
import type { Mask } from '../masks/mask.js';
import { maskStatistics } from '../masks/statistics.js';
import type { Segmenter } from '../segmenter.js';
import type { RgbFrame } from '../video/frame.js';
import type { Expression, TrackSample } from './data-set.js';
import { boundaryAccuracy } from './metrics/boundary-accuracy.js';
import { regionSimilarity } from './metrics/region-similarity.js';
import { type SequenceStatistics, sequenceStatistics } from './metrics/sequence-statistics.js';
import type { SamplePicture } from './pictures.js';

/** `clip`: the whole video as one clip, as the original evaluates; `windows`: as deployed. */
export type Protocol = 'clip' | 'windows';

/** Results of one sentence over one video. */
export interface ExpressionRecord {
  readonly id: string;
  readonly sentence: string;
  readonly truth: Expression['truth'];
  /** Referred score, mean over the video. */
  readonly score: number;
  /** Frames of the video, and those that are annotated. */
  readonly frames: number;
  readonly annotated: number;
  readonly j?: SequenceStatistics;
  readonly f?: SequenceStatistics;
  /** Whether any mask covers more than 0.1 % of its frame. */
  readonly anyMask: boolean;
  /** Whether every mask is empty. */
  readonly allEmpty: boolean;
}

export interface TrackRecord {
  readonly kind: 'track';
  readonly id: string;
  readonly expressions: readonly ExpressionRecord[];
}

export interface TrackOptions {
  readonly protocol: Protocol;
  /** Takes each frame's masks, as of the submission. */
  readonly onMasks?: (frame: number, masks: readonly Mask[]) => Promise<void>;
  readonly signal?: AbortSignal | undefined;
}

/** More frames than this are no clip that fits into memory: the published evaluation has 36. */
const longestClip = 256;
/** A mask counts as one above this share of the frame. */
const noticeable = 0.001;

/** Runs a video with all its sentences and measures J and F in every annotated frame (model-spec §9.4). */
export async function evaluateTrack(
  segmenter: Segmenter,
  sample: TrackSample,
  options: TrackOptions,
): Promise<{ record: TrackRecord; pictures: SamplePicture[] }> {
  const meters = sample.expressions.map((expression) => new ExpressionMeter(expression));
  const frames =
    options.protocol === 'clip' ? clipMasks(segmenter, sample, options) : windowMasks(segmenter, sample, options);
  let count = 0;
  let scores: readonly number[] = [];
  for await (const { frame, masks, scores: latest } of frames) {
    for (const [i, meter] of meters.entries()) await meter.add(count, frame, masks[i]!);
    await options.onMasks?.(count, masks);
    count++;
    scores = latest();
  }
  return {
    record: {
      kind: 'track',
      id: sample.id,
      expressions: meters.map((meter, i) => meter.record(scores[i] ?? 0, count)),
    },
    pictures: meters.flatMap((meter) => meter.picture(sample.id)),
  };
}

interface FrameMasks {
  readonly frame: RgbFrame;
  readonly masks: readonly Mask[];
  /** Referred scores as far as they are known; final after the last frame. */
  readonly scores: () => readonly number[];
}

let streams = -(2 ** 30);

async function* clipMasks(
  segmenter: Segmenter,
  sample: TrackSample,
  { signal }: TrackOptions,
): AsyncGenerator<FrameMasks, void, undefined> {
  const frames: RgbFrame[] = [];
  for await (const frame of sample.frames()) {
    frames.push(frame);
    if (frames.length > longestClip) {
      throw new RvosError(
        'LIMIT_EXCEEDED',
        `${sample.id} has more than ${longestClip} frames: too many for one clip`,
        'Use --protocol windows.',
      );
    }
  }
  const { shortSide, longSide } = segmenter.model.preprocessing;
  const tokenizer = await segmenter.model.tokenizer();
  const sentences = sample.expressions.map(({ sentence }) => tokenizer.prepare(sentence));
  const abort = signal && { signal };
  const texts = await segmenter.backend.encodeText(sentences, { ...abort });
  const window = { stream: --streams, start: 0, frames };
  const preprocessing = { shortSide, longSide, antialias: true, sizeRule: 'data-set' } as const;
  const { sentences: found } = await segmenter.backend.segment(window, texts, { preprocessing, ...abort });
  for (const [i, frame] of frames.entries()) {
    yield { frame, masks: found.map(({ masks }) => masks[i]!), scores: () => found.map(({ score }) => score) };
  }
}

async function* windowMasks(
  segmenter: Segmenter,
  sample: TrackSample,
  { signal }: TrackOptions,
): AsyncGenerator<FrameMasks, void, undefined> {
  const sentences = sample.expressions.map(({ sentence }) => sentence);
  const stream = segmenter.segmentFrames(sample.frames(), sentences, { ...(signal && { signal }) });
  for await (const { frame, masks } of stream) {
    yield { frame, masks, scores: () => stream.summary().queries.map(({ score }) => score) };
  }
}

/** J, F and emptiness of one sentence, frame by frame; keeps one frame to show. */
class ExpressionMeter {
  readonly #j: number[] = [];
  readonly #f: number[] = [];
  #anyMask = false;
  #allEmpty = true;
  #shown: Omit<SamplePicture, 'id'> | undefined;

  constructor(private readonly expression: Expression) {}

  async add(index: number, frame: RgbFrame, predicted: Mask): Promise<void> {
    const { area } = maskStatistics(predicted);
    if (area > 0) this.#allEmpty = false;
    if (area > noticeable * predicted.width * predicted.height) this.#anyMask = true;
    const truth = await this.expression.mask?.(index);
    const { sentence } = this.expression;
    if (truth) {
      this.#j.push(regionSimilarity(truth, predicted));
      this.#f.push(boundaryAccuracy(truth, predicted));
    }
    // The first annotated frame that shows the object says most; else the first frame.
    const shows = truth !== undefined && maskStatistics(truth).area > 0;
    if (!this.#shown || (shows && !this.#shown.truth)) {
      this.#shown = { sentence, frame: { ...frame, data: frame.data.slice() }, predicted, ...(shows && { truth }) };
    }
  }

  record(score: number, frames: number): ExpressionRecord {
    const { id, sentence, truth } = this.expression;
    return {
      ...{ id, sentence, truth, score, frames, annotated: this.#j.length },
      ...(this.#j.length > 0 && { j: sequenceStatistics(this.#j), f: sequenceStatistics(this.#f) }),
      ...{ anyMask: this.#anyMask, allEmpty: this.#allEmpty },
    };
  }

  picture(sample: string): SamplePicture[] {
    return this.#shown ? [{ id: `${sample}-${this.expression.id}`, ...this.#shown }] : [];
  }
}
