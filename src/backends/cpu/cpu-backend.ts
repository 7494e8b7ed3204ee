import { cacheBytes, cacheRoot } from '../../cache/cache-folder.js';
import { abortError, RvosError, throwIfAborted } from '../../errors.js';
import { type Mask, maskByteLength } from '../../masks/mask.js';
import type { ModelFolder } from '../../model/model-folder.js';
import { loadCore } from '../../native/load-core.js';
import { inputSize, type Size } from '../../preprocess/size-rule.js';
import { OneAtATime } from '../../scheduling/one-at-a-time.js';
import type { RgbFrame } from '../../video/frame.js';
import type {
  Backend,
  Frames,
  Preprocessing,
  SegmentOptions,
  SentenceMasks,
  TextFeatures,
  TokenizedSentence,
  WindowMasks,
} from '../backend.js';
import { checkWindow } from '../check-window.js';
import { HeldWindows } from '../held-windows.js';
import { TextCache } from '../text-cache.js';
import { findOpenVino } from './find-openvino.js';
import { InferenceProcess } from './inference-process.js';
import type { ToProcess } from './protocol.js';
import { type CpuRuntimeName, defaultThreads, type RuntimeSettings } from './runtime.js';
import { windowGraphs } from './window-graphs.js';

/** Videos whose last window stays in the child, so that the next window sends only its new frames. */
const keptStreams = 2;
/** Frames that are resized at the same time: libuv's thread pool has four threads. */
const resizedAtOnce = 4;

export interface CpuBackendOptions {
  readonly model: ModelFolder;
  readonly runtime: CpuRuntimeName;
  /** Default: all cores this process may use. */
  readonly threads?: number | undefined;
  /** Default fp32. */
  readonly precision?: 'fp32' | 'bf16' | undefined;
  /** OpenVINO's C library; default what `findOpenVino` finds. */
  readonly library?: string | undefined;
}

/**
 * A runtime on the CPU, in a child process: the event loop stays free, and memory that a runtime leaks goes with it. An
 * abort takes effect at once: OpenVINO ends its run and the child stays; ONNX Runtime cannot, so that the child is killed
 * and the next call starts another.
 */
export class CpuBackend implements Backend {
  readonly name: CpuRuntimeName;
  readonly precision: 'fp32' | 'bf16';
  readonly windowsInFlight = 1;
  readonly #model: ModelFolder;
  readonly #settings: RuntimeSettings;
  readonly #turns = new OneAtATime();
  readonly #texts = new TextCache();
  #process: InferenceProcess | undefined;
  /** The child has leaked enough: the next job gets another. */
  #replace = false;
  /** Windows that the child holds. */
  readonly #held = new HeldWindows(keptStreams);
  /** Resized frames on their way to the child, written into the same memory again and again. */
  #scratch: Uint8Array[] = [];
  #disposed = false;

  /** Starts the child at once, so that it loads while the caller opens the video. */
  constructor({ model, runtime, threads = defaultThreads(), precision = 'fp32', library }: CpuBackendOptions) {
    this.name = runtime;
    this.precision = precision;
    this.#model = model;
    this.#settings = { runtime, threads, precision, ...(runtime === 'openvino' && openVinoSettings(model, library)) };
    this.#startedProcess();
  }

  /** The child's process id, while there is one. */
  get pid(): number | undefined {
    return this.#process?.usable ? this.#process.pid : undefined;
  }

  /** The library's version once it is loaded. Throws `RvosError` BACKEND_UNAVAILABLE if it cannot be. */
  async ready(): Promise<string> {
    let version = '';
    await this.#turns.run(
      () =>
        this.#withProcess(undefined, async (child) => {
          version = await child.hello();
        }),
      { request: {} },
    );
    return version;
  }

  async encodeText(
    sentences: readonly TokenizedSentence[],
    options: { signal?: AbortSignal } = {},
  ): Promise<TextFeatures[]> {
    const { signal } = options;
    throwIfAborted(signal);
    return this.#texts.features(sentences, (ids) =>
      this.#turns.run(() => this.#encode(ids, signal), { request: {}, signal }),
    );
  }

  async segment(window: Frames, texts: readonly TextFeatures[], options: SegmentOptions = {}): Promise<WindowMasks> {
    const kept = options.frames ?? window.frames.map((_, position) => position);
    checkWindow(window, kept);
    if (texts.length === 0) return { sentences: [] };
    const { priority, signal } = options;
    return this.#turns.run(() => this.#segment(window, texts, kept, options), {
      request: window.stream,
      priority,
      signal,
    });
  }

  /** Ends the child process. Calls still under way fail. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    this.#turns.close(disposed());
    await this.#process?.kill();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  async #encode(sentences: readonly (readonly number[])[], signal?: AbortSignal): Promise<readonly TextFeatures[]> {
    const graph = await this.#model.graphPath('text-encoder', undefined, this.name);
    const padId = this.#model.architecture.roberta.pad_token_id;
    let texts: readonly TextFeatures[] = [];
    await this.#withProcess(signal, (child) =>
      child.run(
        (post) => post({ kind: 'encode-text', graph, padId, sentences }),
        (reply) => {
          if (reply.kind !== 'text') return false;
          texts = reply.texts;
          return true;
        },
      ),
    );
    return texts;
  }

  async #segment(
    window: Frames,
    texts: readonly TextFeatures[],
    kept: readonly number[],
    options: SegmentOptions,
  ): Promise<WindowMasks> {
    const { width, height } = window.frames[0]!;
    const preprocessing = { ...this.#model.preprocessing, ...options.preprocessing };
    const size = inputSize({ width, height }, preprocessing);
    const lengths = { frames: window.frames.length, kept: kept.length };
    const graphs = await windowGraphs(this.#model, this.name, size, lengths);
    const result = new WindowResult(texts.length, width, height);
    const computed = this.#withProcess(options.signal, (child) =>
      child.run(
        async (post) => {
          await this.#sendWindow(window, size, preprocessing, post);
          await post({
            kind: 'segment',
            graphs,
            texts: texts.map(({ tokens, features }) => ({ tokens, features })),
            frames: kept,
            queries: options.queries ?? 'best',
            link: texts.map((_, p) => options.link?.[p]?.slice(0, kept.length).map((mask) => mask.bits)),
            originalHeight: height,
            originalWidth: width,
          });
        },
        (reply) => {
          if (reply.kind === 'sentence') result.addSentence(reply.sentence, reply);
          else if (reply.kind === 'masks') result.addMasks(reply.sentence, reply.first, reply.bits);
          else if (reply.kind === 'done') this.#replace = reply.replace;
          return reply.kind === 'done';
        },
      ),
    );
    try {
      await computed;
    } catch (error) {
      // Some of its frames may never have arrived.
      this.#held.spoil(window.stream);
      throw error;
    }
    return result.complete();
  }

  /** Resizes and sends the frames the child does not hold yet. */
  async #sendWindow(
    window: Frames,
    size: Size,
    preprocessing: Preprocessing,
    post: (message: ToProcess) => Promise<void>,
  ): Promise<void> {
    const { stream, start, frames } = window;
    const form = `${size.height}x${size.width} antialias ${preprocessing.antialias}`;
    const held = { start, count: frames.length, form };
    const shared = this.#held.shared(stream, held);
    // If sending fails, the child is ended and holds nothing any more.
    const forget = this.#held.hold(stream, held);
    const { mean, std } = preprocessing;
    await post({ kind: 'window', stream, start, count: frames.length, shared, ...size, mean, std, forget });
    for (let from = shared; from < frames.length; from += resizedAtOnce) {
      const resized = await Promise.all(
        frames
          .slice(from, from + resizedAtOnce)
          .map((frame, i) => resizeFrame(frame, size, preprocessing.antialias, this.#scratch, i)),
      );
      for (const [i, pixels] of resized.entries()) await post({ kind: 'frame', position: from + i, pixels });
    }
  }

  /** Runs a job in the child; an abort ends the job, where the runtime can, else the child. */
  async #withProcess(signal: AbortSignal | undefined, job: (child: InferenceProcess) => Promise<void>): Promise<void> {
    if (signal?.aborted) throw abortError(signal);
    const child = this.#startedProcess();
    const end = () => (this.name === 'openvino' ? child.cancel() : child.kill());
    const onAbort = () => void end();
    signal?.addEventListener('abort', onAbort, { once: true });
    try {
      await job(child);
    } catch (error) {
      if (signal?.aborted) {
        await end();
        throw abortError(signal);
      }
      // Messages of the failed job may still be on their way: a fresh child cannot mistake them for the next job's.
      await child.kill();
      throw error;
    } finally {
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #startedProcess(): InferenceProcess {
    if (this.#disposed) throw disposed();
    if (this.#process?.usable && this.#replace) void this.#process.kill();
    if (!this.#process?.usable) {
      this.#process = new InferenceProcess(this.#settings);
      this.#replace = false;
      this.#held.clear();
      // A frame of the last job may still be being resized into the old memory.
      this.#scratch = [];
    }
    return this.#process;
  }
}

/** What OpenVINO needs to know beside threads and precision. Throws `RvosError` BACKEND_UNAVAILABLE where there is none. */
export function openVinoSettings(model: ModelFolder, library?: string): Pick<RuntimeSettings, 'library' | 'cache'> {
  const cache = { folder: cacheRoot(model.cacheFolder), bytes: cacheBytes(), weights: model.weightsSha256 };
  return { library: library ?? findOpenVino().library, cache };
}

function disposed(): RvosError {
  return new RvosError('BACKEND_FAILED', 'the segmenter was disposed', 'Open a new one.');
}

/** Collects the child's replies for one window. */
class WindowResult {
  readonly #sentences: (Omit<SentenceMasks, 'masks'> | undefined)[];
  readonly #masks: Mask[][];

  constructor(
    sentences: number,
    private readonly width: number,
    private readonly height: number,
  ) {
    this.#sentences = new Array(sentences).fill(undefined);
    this.#masks = Array.from({ length: sentences }, () => []);
  }

  addSentence(index: number, { objectQuery, score, scores }: Omit<SentenceMasks, 'masks'>): void {
    this.#sentences[index] = { objectQuery, score, scores };
  }

  addMasks(index: number, first: number, bits: Uint8Array): void {
    const { width, height } = this;
    const bytes = maskByteLength(width, height);
    for (let i = 0; i * bytes < bits.length; i++) {
      this.#masks[index]![first + i] = { width, height, bits: bits.subarray(i * bytes, (i + 1) * bytes) };
    }
  }

  complete(): WindowMasks {
    return { sentences: this.#sentences.map((sentence, i) => ({ ...sentence!, masks: this.#masks[i]! })) };
  }
}

/** Into scratch[slot], or the frame's own pixels where the size is right. Valid until the slot is used again. */
async function resizeFrame(
  frame: RgbFrame,
  size: Size,
  antialias: boolean,
  scratch: Uint8Array[],
  slot: number,
): Promise<Uint8Array> {
  if (frame.height === size.height && frame.width === size.width) return frame.data;
  const bytes = size.height * size.width * 3;
  if (scratch[slot]?.length !== bytes) scratch[slot] = new Uint8Array(bytes);
  const target = scratch[slot]!;
  await loadCore().resize({
    source: frame.data,
    height: frame.height,
    width: frame.width,
    target,
    targetHeight: size.height,
    targetWidth: size.width,
    antialias,
  });
  return target;
}
