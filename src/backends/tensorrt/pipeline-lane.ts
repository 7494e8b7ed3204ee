import { abortError, RvosError } from '../../errors.js';
import type { NativePipeline, PipelineSentenceResult } from '../../native/tensorrt-addon.js';
import { toRvosError } from '../../native/tensorrt-errors.js';
import {
  type CallOptions,
  type WindowBatch,
  type WindowCall,
  type WindowLane,
  WindowScheduler,
} from '../../scheduling/window-scheduler.js';
import type { WindowMasks } from '../backend.js';
import { HeldWindows } from '../held-windows.js';
import { batchForm, frameForm, pipelineBatch, type WindowJob, windowMasks } from './window-job.js';

export interface LaneLimits {
  /** Windows in a batch. */
  readonly windows: number;
  /** Batches under way at once. */
  readonly inFlight: number;
  /** Videos whose last window stays on the GPU; more than there are windows under way. */
  readonly streams: number;
  /** Frames of the short temporal form. */
  readonly shortFrames: number;
  /** Tokens of a sentence. */
  readonly tokens: number;
}

type Call = WindowCall<WindowJob, WindowMasks>;

/** A batch that the pipeline has. */
interface Batch {
  readonly calls: readonly Call[];
  /** Batches that use frames which this one brings. */
  readonly dependents: Set<Batch>;
  id: number;
  /** Frames it was to share did not arrive: its results mean nothing. */
  spoilt: boolean;
}

/**
 * A pipeline as a place where windows run. It gets as many batches as it runs at once. Frames that a window shares with the
 * one before are left out when they are on the GPU.
 */
export class PipelineLane implements WindowLane<WindowJob, WindowMasks> {
  readonly #scheduler: WindowScheduler<WindowJob, WindowMasks>;
  readonly #held: HeldWindows;
  readonly #running = new Set<Batch>();
  /** For each video, the batch under way that brings its latest window. */
  readonly #latest = new Map<number, Batch>();

  constructor(
    readonly pipeline: NativePipeline,
    readonly limits: LaneLimits,
  ) {
    this.#held = new HeldWindows(limits.streams);
    this.#scheduler = new WindowScheduler(this);
  }

  get batches(): number {
    return this.limits.inFlight;
  }

  get windows(): number {
    return this.limits.windows;
  }

  form(job: WindowJob): string {
    return batchForm(job, this.limits.shortFrames);
  }

  /** In its turn. Rejects with `RvosError`: ABORTED at once, BACKEND_FAILED after dispose, OUT_OF_MEMORY. */
  run(job: WindowJob, options: Omit<CallOptions, 'request'> = {}): Promise<WindowMasks> {
    return this.#scheduler.run(job, { request: job.window.stream, ...options });
  }

  /** Calls under way fail; resolves when the pipeline's memory is free. */
  async dispose(): Promise<void> {
    this.#scheduler.close(new RvosError('BACKEND_FAILED', 'the segmenter was disposed', 'Open a new one.'));
    await this.pipeline.dispose();
  }

  start(calls: readonly Call[]): WindowBatch<WindowJob, WindowMasks> {
    const batch: Batch = { calls, dependents: new Set(), id: -1, spoilt: false };
    const shared = calls.map(({ job }) => this.#share(job, batch));
    this.#running.add(batch);
    return { done: this.#run(batch, shared), abort: (call, signal) => this.#abort(batch, call, signal) };
  }

  /** The calls that must run once more. */
  async #run(batch: Batch, shared: readonly number[]): Promise<readonly Call[]> {
    const jobs = batch.calls.map(({ job }) => job);
    try {
      const { id, done } = this.pipeline.run(pipelineBatch(jobs, shared));
      batch.id = id;
      const results = await done;
      if (!batch.spoilt) this.#settle(batch, results);
    } catch (error) {
      if (!batch.spoilt) {
        this.#spoil(batch);
        throw toRvosError(error);
      }
    } finally {
      this.#running.delete(batch);
      for (const other of this.#running) other.dependents.delete(batch);
      for (const [stream, latest] of this.#latest) if (latest === batch) this.#latest.delete(stream);
    }
    // A spoilt batch lost the frames it shares, not by its own fault: it runs once more, with all its frames.
    return batch.spoilt ? batch.calls : [];
  }

  /** How many of a window's frames are on the GPU or on their way there; makes its own the stream's held ones. */
  #share({ window, antialias }: WindowJob, batch: Batch): number {
    const { stream, start, frames } = window;
    const held = { start, count: frames.length, form: frameForm({ window, antialias }) };
    const shared = this.#held.shared(stream, held);
    const before = this.#latest.get(stream);
    if (shared > 0 && before && before !== batch) before.dependents.add(batch);
    this.#latest.set(stream, batch);
    for (const other of this.#held.hold(stream, held, (other) => this.#latest.has(other))) this.pipeline.forget(other);
    return shared;
  }

  #settle({ calls }: Batch, results: readonly PipelineSentenceResult[]): void {
    let from = 0;
    for (const call of calls) {
      const to = from + call.job.texts.length;
      if (!call.settled) call.resolve(windowMasks(call.job, results.slice(from, to)));
      from = to;
    }
  }

  /** Frames that a batch brings are not to be relied on. */
  #spoil(batch: Batch): void {
    for (const { job } of batch.calls) this.#held.spoil(job.window.stream);
    for (const dependent of batch.dependents) {
      if (dependent.spoilt) continue;
      dependent.spoilt = true;
      this.#spoil(dependent);
    }
  }

  /** A batch is given up when nobody wants it or the frames it brings. */
  #abort(batch: Batch, call: Call, signal: AbortSignal): void {
    call.reject(abortError(signal));
    // The caller may write to its frames from now on, while they are being copied.
    this.#held.spoil(call.job.window.stream);
    const unwanted = ({ calls }: Batch) => calls.every(({ settled }) => settled);
    if (!unwanted(batch) || ![...batch.dependents].every(unwanted)) return;
    this.#spoil(batch);
    this.pipeline.cancel(batch.id);
  }
}
