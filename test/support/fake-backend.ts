import type {
  Backend,
  Frames,
  SegmentOptions,
  SentenceMasks,
  TextFeatures,
  TokenizedSentence,
  WindowMasks,
} from '../../src/backends/backend.js';
import { type Mask, maskByteLength } from '../../src/masks/mask.js';
import type { SegmenterModel } from '../../src/segmenter.js';
import { Tokenizer } from '../../src/text/tokenizer.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { goldenPath } from './safetensors.js';

/** A call of `segment` that the fake backend has seen. */
export interface SeenWindow {
  readonly start: number;
  readonly count: number;
  readonly options: SegmentOptions;
}

/**
 * Says of every frame which window and sentence a mask is for: the mask's first byte is the number of the window, its
 * second the number of the sentence plus one. The score of sentence s in window w is `score(w, s)`.
 */
export class FakeBackend implements Backend {
  readonly name = 'onnxruntime';
  readonly windowsInFlight: number;
  readonly windows: SeenWindow[] = [];
  readonly encoded: string[][] = [];
  running = 0;
  mostRunning = 0;
  disposed = false;

  constructor(
    private readonly behaviour: {
      readonly score?: (window: number, sentence: number) => number;
      /** Called before each window is answered. */
      readonly before?: (window: number, signal: AbortSignal | undefined) => Promise<void>;
      /** Default 1, as ONNX Runtime. */
      readonly windowsInFlight?: number;
    } = {},
  ) {
    this.windowsInFlight = behaviour.windowsInFlight ?? 1;
  }

  async encodeText(sentences: readonly TokenizedSentence[]): Promise<TextFeatures[]> {
    this.encoded.push(sentences.map(({ text }) => text));
    return sentences.map(({ ids }) => ({ tokens: ids.length, features: new Float32Array(ids.length) }));
  }

  async segment(window: Frames, texts: readonly TextFeatures[], options: SegmentOptions = {}): Promise<WindowMasks> {
    const number = this.windows.length;
    this.windows.push({ start: window.start, count: window.frames.length, options });
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    try {
      await this.behaviour.before?.(number, options.signal);
      const sentences = texts.map((_, s): SentenceMasks => {
        const score = this.behaviour.score?.(number, s) ?? 0.5;
        return {
          objectQuery: s,
          score,
          scores: Float32Array.of(score),
          masks: window.frames.map((frame) => markedMask(frame, number, s)),
        };
      });
      return { sentences };
    } finally {
      this.running--;
    }
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }
}

function markedMask({ width, height }: RgbFrame, window: number, sentence: number): Mask {
  const bits = new Uint8Array(maskByteLength(width, height));
  bits[0] = window;
  bits[1] = sentence + 1;
  return { width, height, bits };
}

/** The goldens' tokenizer with the published settings, without weights. */
export async function fakeModel(changes: Partial<SegmenterModel> = {}): Promise<SegmenterModel> {
  const tokenizer = await Tokenizer.open(goldenPath('tokenizer'));
  return {
    name: 'fake',
    preprocessing: { shortSide: 360, longSide: 640, antialias: true, mean: [0.5, 0.5, 0.5], std: [0.2, 0.2, 0.2] },
    windows: { length: 24, overlap: 6 },
    minScore: 0,
    tokenizer: async () => tokenizer,
    ...changes,
  };
}

/** `count` small frames, 25 a second, beginning at `from` seconds. */
export async function* syntheticFrames(count: number, from = 0): AsyncGenerator<RgbFrame> {
  for (let i = 0; i < count; i++) {
    yield { width: 8, height: 4, data: new Uint8Array(96).fill(i), time: from + i / 25 };
  }
}
