import { type ClipForms, clipForms, defaultEngineLimits, sizeLabel } from '../engines/engine-plan.js';
import { RvosError, throwIfAborted } from '../errors.js';
import type { ModelFolder } from '../model/model-folder.js';
import type { TensorRtAddon } from '../native/tensorrt-addon.js';
import { toRvosError } from '../native/tensorrt-errors.js';
import { orAbort } from '../or-abort.js';
import { inputSize, type Size } from '../preprocess/size-rule.js';
import type { Backend, Frames, SegmentOptions, TextFeatures, TokenizedSentence, WindowMasks } from './backend.js';
import { checkWindow } from './check-window.js';
import type { EngineSource } from './tensorrt/engine-source.js';
import { PipelineCache } from './tensorrt/pipeline-cache.js';
import { PipelineLane } from './tensorrt/pipeline-lane.js';
import { defaultInFlight, pipelineLimits } from './tensorrt/pipeline-limits.js';
import { SentenceEncoder, tooLong } from './tensorrt/sentence-encoder.js';
import { TextCache } from './text-cache.js';

/** Sizes of the network's input whose pipelines stay open; fewer where memory of the GPU does not suffice. */
const keptPipelines = 4;

export interface TensorRtOptions {
  readonly model: ModelFolder;
  /** The addon, its libraries loaded. */
  readonly addon: Pick<TensorRtAddon, 'openTextEncoder' | 'openPipeline'>;
  /** Index of the GPU. */
  readonly device: number;
  readonly engines: EngineSource;
  /** Batches under way at once, each with memory of its own; default 2. */
  readonly inFlight?: number;
  /** Aborted by dispose, for what goes on behind `engines`. */
  readonly ending?: AbortController;
}

/**
 * TensorRT on a GPU: engines of one size in one pipeline, which keeps all that lies between frames and masks on the GPU.
 * Windows of concurrent calls share batches; several windows of one video may be under way.
 */
export class TensorRtBackend implements Backend {
  readonly name = 'tensorrt';
  readonly #options: TensorRtOptions;
  readonly #inFlight: number;
  readonly #forms: ClipForms;
  readonly #texts = new TextCache();
  readonly #encoder: SentenceEncoder;
  readonly #pipelines: PipelineCache;
  /** Windows in a batch of the pipeline opened last. */
  #windows = defaultEngineLimits.windows;

  constructor(options: TensorRtOptions) {
    this.#options = options;
    this.#inFlight = options.inFlight ?? defaultInFlight;
    this.#forms = clipForms(options.model);
    this.#encoder = new SentenceEncoder(options);
    this.#pipelines = new PipelineCache(keptPipelines, (size) => this.#openPipeline(size));
  }

  /** As many as fill every batch that may be under way. */
  get windowsInFlight(): number {
    return this.#inFlight * this.#windows;
  }

  /** The pipelines that are open, for what they measure of themselves. */
  get pipelines(): PipelineLane['pipeline'][] {
    return this.#pipelines.open.map(({ pipeline }) => pipeline);
  }

  /** Throws `RvosError`: LIMIT_EXCEEDED, ENGINE_MISSING, BAD_ENGINE, OUT_OF_MEMORY, BACKEND_FAILED, ABORTED. */
  async encodeText(
    sentences: readonly TokenizedSentence[],
    options: { signal?: AbortSignal } = {},
  ): Promise<TextFeatures[]> {
    const { signal } = options;
    throwIfAborted(signal);
    return this.#texts.features(sentences, (ids) => orAbort(this.#encoder.encode(ids), signal));
  }

  /**
   * Throws `RvosError`: NO_FRAMES, BAD_FRAME_SIZE, BAD_ARGUMENT, LIMIT_EXCEEDED, ENGINE_MISSING, BAD_ENGINE, OUT_OF_MEMORY
   * (later calls may succeed), BACKEND_FAILED, ABORTED.
   */
  async segment(window: Frames, texts: readonly TextFeatures[], options: SegmentOptions = {}): Promise<WindowMasks> {
    const { frames, queries = 'best', link, priority, signal } = options;
    const count = window.frames.length;
    const kept = frames ?? window.frames.map((_, position) => position);
    checkWindow(window, kept);
    throwIfAborted(signal);
    this.#checkLength(count, kept.length);
    if (texts.length === 0) return { sentences: [] };
    const { model, engines } = this.#options;
    const preprocessing = { ...model.preprocessing, ...options.preprocessing };
    const size = inputSize(window.frames[0]!, preprocessing);
    const all = kept.length === count && kept.every((position, i) => position === i);
    const job = {
      window,
      texts,
      keep: all ? undefined : kept,
      antialias: preprocessing.antialias,
      queries,
      link,
    };
    const masks = this.#pipelines.use(size, async (lane) => {
      const longest = Math.max(...texts.map(({ tokens }) => tokens));
      const { tokens } = lane.limits;
      if (longest > tokens) throw tooLong(longest, tokens, engines.commandForTokens(longest, size));
      return lane.run(job, { priority, signal });
    });
    return orAbort(masks, signal);
  }

  /** Calls under way fail; resolves when the GPU's memory is free. */
  async dispose(): Promise<void> {
    this.#options.ending?.abort(new Error('the segmenter was disposed'));
    await Promise.all([this.#pipelines.dispose(), this.#encoder.dispose()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.dispose();
  }

  #checkLength(count: number, kept: number): void {
    const { short, long } = this.#forms;
    if (count > Math.max(short, long)) {
      throw new RvosError(
        'LIMIT_EXCEEDED',
        `a window has ${count} frames, TensorRT engines of this model take up to ${Math.max(short, long)}`,
        'Whole clips of any length run on ONNX Runtime: --backend onnxruntime.',
      );
    }
    if (kept < count && kept > short) {
      throw new RvosError(
        'LIMIT_EXCEEDED',
        `${kept} of a window's ${count} frames are to be kept, TensorRT engines of this model keep up to ${short}, or all`,
        'Keep fewer frames or all of them, or use --backend onnxruntime.',
      );
    }
  }

  async #openPipeline(size: Size): Promise<PipelineLane> {
    const { model, addon, device, engines } = this.#options;
    const found = await engines.size(size);
    const limits = pipelineLimits(model, found, this.#inFlight);
    const { mean, std } = model.preprocessing;
    const { short, long, transformer } = found;
    try {
      const pipeline = await addon.openPipeline({
        ...limits,
        device,
        engines: { short: short.path, ...(long && { long: long.path }), transformer: transformer.path },
        mean,
        std,
      });
      this.#windows = limits.windows;
      return new PipelineLane(pipeline, limits);
    } catch (error) {
      throw toRvosError(error, { what: `engines for ${sizeLabel(size)}` });
    }
  }
}
