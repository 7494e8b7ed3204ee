import type { EngineSource } from '../../src/backends/tensorrt/engine-source.js';
import { defaultEngineLimits, type EngineLimits } from '../../src/engines/engine-plan.js';
import type { SizeEngines, StoredEngine } from '../../src/engines/engine-store.js';
import { maskByteLength } from '../../src/masks/mask.js';
import type {
  NativeErrorCode,
  NativePipeline,
  NativeTextEncoder,
  PipelineBatch,
  PipelineOptions,
  PipelineSentenceResult,
  TensorRtAddon,
} from '../../src/native/tensorrt-addon.js';

/** An error as the addon throws it. */
export function nativeError(code: NativeErrorCode, message: string = code): Error {
  return Object.assign(new Error(message), { code });
}

/** A batch that the fake pipeline was given. */
export interface SeenBatch {
  readonly id: number;
  readonly batch: PipelineBatch;
  /** Ends the batch: with masks, or with a failure. */
  readonly end: (failure?: Error) => void;
}

/**
 * The contract of a pipeline without a network: it keeps each stream's last window and puts shared frames in front, as the
 * GPU does. A mask's first byte is its frame's first byte, its second one the number of the sentence in the batch; the
 * object query chosen is 1 of 2. Batches end when the test says so, or at once.
 */
export class FakePipeline implements NativePipeline {
  readonly plan = { deviceBytes: 0, pinnedBytes: 0, parts: [] };
  readonly lastTimings = {};
  readonly batches: SeenBatch[] = [];
  readonly cancelled: number[] = [];
  readonly forgotten: number[] = [];
  running = 0;
  mostRunning = 0;
  disposed = false;
  /** Frames of each stream's last window by their first byte, and its first index. */
  readonly #held = new Map<number, { start: number; frames: number[] }>();

  constructor(
    readonly options: PipelineOptions,
    private readonly atOnce: boolean,
  ) {}

  run(batch: PipelineBatch): { id: number; done: Promise<PipelineSentenceResult[]> } {
    const id = this.batches.length;
    this.mostRunning = Math.max(this.mostRunning, ++this.running);
    const windows = batch.windows.map((window) => this.#frames(window));
    const missing = windows.some((frames) => frames.includes(-1));
    const done = new Promise<PipelineSentenceResult[]>((resolve, reject) => {
      const end = (failure?: Error) => {
        this.running--;
        if (failure) reject(failure);
        else if (missing) reject(nativeError('BAD_ARGUMENT', 'frames are not here to be shared'));
        else resolve(batch.sentences.map((sentence, i) => this.#result(batch, windows[sentence.window]!, i)));
      };
      this.batches.push({ id, batch, end });
      if (this.atOnce) setImmediate(end);
    });
    return { id, done };
  }

  cancel(id: number): void {
    this.cancelled.push(id);
  }

  forget(stream: number): void {
    this.forgotten.push(stream);
    this.#held.delete(stream);
  }

  runStage(): Promise<never> {
    return Promise.reject(nativeError('BAD_ARGUMENT'));
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }

  #frames({ stream, start, count, shared, frames }: PipelineBatch['windows'][number]): number[] {
    if (frames.length !== count - shared) throw nativeError('BAD_ARGUMENT', 'wrong number of frames');
    const held = this.#held.get(stream);
    const kept = Array.from({ length: shared }, (_, i) => held?.frames[start - held.start + i] ?? -1);
    const all = [...kept, ...frames.map((data) => data[0]!)];
    this.#held.set(stream, { start, frames: all });
    if (this.#held.size > this.options.streams) throw nativeError('BAD_ARGUMENT', 'too many streams');
    return all;
  }

  #result(batch: PipelineBatch, frames: readonly number[], sentence: number): PipelineSentenceResult {
    const { width, height } = batch.source;
    const bytes = maskByteLength(width, height);
    const kept = batch.keep?.map((position) => frames[position]!) ?? frames;
    const list = batch.queries === 'all' ? [...kept, ...kept] : kept;
    const masks = new Uint8Array(list.length * bytes);
    list.forEach((frame, i) => {
      masks[i * bytes] = frame;
      masks[i * bytes + 1] = sentence;
    });
    return { objectQuery: 1, scores: Float32Array.of(0.25, 0.75), masks };
  }
}

class FakeTextEncoder implements NativeTextEncoder {
  readonly calls: { sentences: number; tokens: number }[] = [];
  disposed = false;

  /** Features [S,4]: the token's id, four times. */
  async encode({ inputIds, sentences, tokens }: Parameters<NativeTextEncoder['encode']>[0]): Promise<Float32Array> {
    this.calls.push({ sentences, tokens });
    return Float32Array.from({ length: sentences * tokens * 4 }, (_, i) => Number(inputIds[Math.floor(i / 4)]));
  }

  async dispose(): Promise<void> {
    this.disposed = true;
  }
}

/** The part of the addon that the backend uses. `failures` are thrown by the next openings, in turn. */
export class FakeAddon implements Pick<TensorRtAddon, 'openPipeline' | 'openTextEncoder'> {
  readonly pipelines: FakePipeline[] = [];
  readonly encoders: FakeTextEncoder[] = [];
  readonly failures: Error[] = [];
  readonly atOnce: boolean;

  constructor(options: { readonly atOnce?: boolean } = {}) {
    this.atOnce = options.atOnce ?? false;
  }

  async openPipeline(options: PipelineOptions): Promise<FakePipeline> {
    const failure = this.failures.shift();
    if (failure) throw failure;
    const pipeline = new FakePipeline(options, this.atOnce);
    this.pipelines.push(pipeline);
    return pipeline;
  }

  async openTextEncoder(): Promise<FakeTextEncoder> {
    const failure = this.failures.shift();
    if (failure) throw failure;
    const encoder = new FakeTextEncoder();
    this.encoders.push(encoder);
    return encoder;
  }

  get open(): FakePipeline[] {
    return this.pipelines.filter(({ disposed }) => !disposed);
  }
}

/** Engines that are always there; nothing reads their files. */
export function fakeEngines(limits: Partial<EngineLimits> = {}): EngineSource {
  const all = { ...defaultEngineLimits, ...limits };
  const engine = (name: string): StoredEngine => {
    const build = { scratch_bytes: 0 };
    return { name, path: `/engines/${name}.engine`, manifest: { build } as StoredEngine['manifest'] };
  };
  return {
    textEncoder: async () => ({ ...engine('text-encoder'), limits: all }),
    size: async (size): Promise<SizeEngines> => ({
      size,
      short: engine('short'),
      long: engine('long'),
      transformer: engine('transformer'),
      limits: all,
    }),
    commandForTokens: (tokens) => `rvos build --tokens ${tokens}`,
  };
}
