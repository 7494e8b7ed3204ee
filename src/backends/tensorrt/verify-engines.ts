import {
  type EngineVerification,
  type VerificationFigures,
  verificationOf,
} from '../../engines/engine-verification.js';
import { maskOverlap } from '../../masks/statistics.js';
import type { ModelFolder } from '../../model/model-folder.js';
import type { NativeDevice, TensorRtAddon } from '../../native/tensorrt-addon.js';
import type { Size } from '../../preprocess/size-rule.js';
import type { RgbFrame } from '../../video/frame.js';
import type { Backend, TextFeatures, TokenizedSentence, WindowMasks } from '../backend.js';
import { CpuBackend } from '../cpu/cpu-backend.js';
import { TensorRtBackend } from '../tensorrt.js';
import type { EngineSource } from './engine-source.js';

export interface VerifyOptions {
  readonly model: ModelFolder;
  readonly addon: Pick<TensorRtAddon, 'openTextEncoder' | 'openPipeline'>;
  readonly device: NativeDevice;
  /** Engines as they are, verified or not. */
  readonly engines: EngineSource;
  readonly size: Size;
  readonly signal?: AbortSignal | undefined;
}

const sentences = ['a red ball', 'the person on the left'];

/**
 * Runs a fixed clip, in a short and a long window, through the engines of one size on the GPU and through the CPU backend in FP32
 * (ONNX Runtime), and compares text features, referred scores and the masks of all object queries. Takes as long as two windows
 * on the CPU. Throws `RvosError` of either backend, ABORTED.
 */
export async function verifyEngines(options: VerifyOptions): Promise<EngineVerification> {
  const { model, addon, device, engines } = options;
  await using exact = new CpuBackend({ runtime: 'onnxruntime', model, precision: 'fp32' });
  await using fast = new TensorRtBackend({ model, addon, device: device.index, engines });
  return verificationOf(await compare(exact, fast, options), device);
}

async function compare(exact: Backend, fast: Backend, { model, size, signal }: VerifyOptions) {
  const tokenizer = await model.tokenizer();
  const texts = sentences.map((sentence) => tokenizer.prepare(sentence));
  const [expected, found] = await Promise.all([exact, fast].map((backend) => encode(backend, texts, signal)));
  const figures: Writable<VerificationFigures> = {
    maskIou: 1,
    scoreError: 0,
    textError: textError(expected!, found!),
  };
  const { length } = model.windows;
  const short = Math.min(length, 8);
  for (const count of new Set([short, length])) {
    const window = { stream: 0, start: 0, frames: clip(size, count) };
    const preprocessing = {
      shortSide: Math.min(size.height, size.width),
      longSide: Math.max(size.height, size.width),
    };
    const run = { preprocessing, queries: 'all', ...(signal && { signal }) } as const;
    const right = await exact.segment(window, expected!, run);
    const masks = await fast.segment(window, found!, run);
    addDifferences(figures, right, masks);
  }
  return figures;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

function encode(backend: Backend, texts: readonly TokenizedSentence[], signal: AbortSignal | undefined) {
  return backend.encodeText(texts, signal ? { signal } : {});
}

function textError(expected: readonly TextFeatures[], found: readonly TextFeatures[]): number {
  let difference = 0;
  let square = 0;
  for (const [i, { features }] of expected.entries()) {
    const other = found[i]!.features;
    for (const [k, value] of features.entries()) {
      difference += (value - other[k]!) ** 2;
      square += value ** 2;
    }
  }
  return Math.sqrt(difference / square);
}

/** `Math.max` and `Math.min` keep NaN. */
function addDifferences(figures: Writable<VerificationFigures>, right: WindowMasks, found: WindowMasks): void {
  for (const [i, { scores, masks }] of right.sentences.entries()) {
    const other = found.sentences[i]!;
    for (const [query, score] of scores.entries()) {
      figures.scoreError = Math.max(figures.scoreError, Math.abs(score - other.scores[query]!));
    }
    let intersection = 0;
    let union = 0;
    for (const [k, mask] of masks.entries()) {
      const overlap = maskOverlap(mask, other.masks[k]!);
      intersection += overlap.intersection;
      union += overlap.union;
    }
    figures.maskIou = Math.min(figures.maskIou, union === 0 ? 1 : intersection / union);
  }
}

/** A bright disc that moves over a graded background with some grain: edges, areas and motion, the same on every machine. */
function clip({ height, width }: Size, count: number): RgbFrame[] {
  const radius = Math.min(height, width) / 5;
  let state = 1;
  return Array.from({ length: count }, (_, t) => {
    const data = new Uint8Array(height * width * 3);
    const centreX = width * (0.2 + (0.6 * t) / Math.max(1, count - 1));
    const centreY = height * (0.5 + 0.2 * Math.sin(t / 3));
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        const grain = (state >>> 24) / 16;
        const inside = (x - centreX) ** 2 + (y - centreY) ** 2 < radius ** 2;
        const at = (y * width + x) * 3;
        data[at] = (inside ? 210 : (120 * x) / width) + grain;
        data[at + 1] = (inside ? 40 : (150 * y) / height) + grain;
        data[at + 2] = (inside ? 50 : 90) + grain;
      }
    }
    return { height, width, data, time: t / 25 };
  });
}
