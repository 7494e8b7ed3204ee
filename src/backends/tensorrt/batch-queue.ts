import { abortError, RvosError, throwIfAborted } from '../../errors.js';
import type { NativePipeline, PipelineSentenceResult } from '../../native/tensorrt-addon.js';
import { toRvosError } from '../../native/tensorrt-errors.js';
import type { WindowMasks } from '../backend.js';
import { HeldWindows } from '../held-windows.js';
import { batchForm, frameForm, pipelineBatch, type WindowJob, windowMasks } from './window-job.js';

export interface BatchLimits {
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

/** A job that waits or runs. It is settled once: by its result, an error or an abort, whichever comes first. */
interface Call {
  readonly job: WindowJob;
  readonly form: string;
  readonly resolve: (masks: WindowMasks) => void;
  readonly reject: (error: unknown) => void;
  /** Its caller waits no longer. */
  settled: boolean;
}

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
 * The queue in front of a pipeline. As many batches are handed over as the pipeline runs at once; what comes meanwhile
 * waits here, where windows of equal form join one batch, whoever they are for. A window that finds the pipeline free
 * starts at once. Frames that a window shares with the one before are left out when they are on the GPU.
 */
export class BatchQueue {
  readonly #held: HeldWindows;
  readonly #running = new Set<Batch>();
  readonly #waiting: Call[] = [];
  /** For each video, the batch under way that brings its latest window. */
  readonly #latest = new Map<number, Batch>();
  #scheduled = false;
  #disposed = false;

  constructor(
    readonly pipeline: NativePipeline,
    readonly limits: BatchLimits,
  ) {
    this.#held = new HeldWindows(limits.streams);
  }

  /** Rejects with `RvosError`: ABORTED at once, BACKEND_FAILED after dispose, OUT_OF_MEMORY. */
  run(job: WindowJob, signal?: AbortSignal): Promise<WindowMasks> {
    return new Promise((resolve, reject) => {
      throwIfAborted(signal);
      if (this.#disposed) throw disposed();
      const abort = () => this.#abort(call, signal);
      const settle = (how: () => void) => {
        if (call.settled) return;
        call.settled = true;
        signal?.removeEventListener('abort', abort);
        how();
      };
      const call: Call = {
        job,
        form: batchForm(job, this.limits.shortFrames),
        resolve: (masks) => settle(() => resolve(masks)),
        reject: (error) => settle(() => reject(error)),
        settled: false,
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#waiting.push(call);
      this.#schedule();
    });
  }

  /** Calls under way fail; resolves when the pipeline's memory is free. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    for (const call of this.#waiting.splice(0)) call.reject(disposed());
    for (const { calls } of this.#running) for (const call of calls) call.reject(disposed());
    await this.pipeline.dispose();
  }

  /** Once all calls of this turn of the event loop are here, so that those made together run together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      while (!this.#disposed && this.#waiting.length > 0 && this.#running.size < this.limits.inFlight) {
        this.#start(this.#nextCalls());
      }
    });
  }

  /** The call that has waited longest, and others of its form. */
  #nextCalls(): Call[] {
    const { form } = this.#waiting[0]!;
    const calls: Call[] = [];
    for (let i = 0; i < this.#waiting.length && calls.length < this.limits.windows; ) {
      if (this.#waiting[i]!.form === form) calls.push(...this.#waiting.splice(i, 1));
      else i++;
    }
    return calls;
  }

  #start(calls: readonly Call[]): void {
    const batch: Batch = { calls, dependents: new Set(), id: -1, spoilt: false };
    const shared = calls.map(({ job }) => this.#share(job, batch));
    this.#running.add(batch);
    let done: Promise<void>;
    try {
      const started = this.pipeline.run(
        pipelineBatch(
          calls.map(({ job }) => job),
          shared,
        ),
      );
      batch.id = started.id;
      done = started.done.then((results) => this.#finish(batch, results));
    } catch (error) {
      done = Promise.reject(error);
    }
    void done
      .catch((error: unknown) => this.#fail(batch, error))
      .finally(() => {
        this.#running.delete(batch);
        for (const other of this.#running) other.dependents.delete(batch);
        for (const [stream, latest] of this.#latest) if (latest === batch) this.#latest.delete(stream);
        this.#schedule();
      });
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

  #finish(batch: Batch, results: readonly PipelineSentenceResult[]): void {
    if (batch.spoilt) {
      this.#again(batch);
      return;
    }
    let from = 0;
    for (const call of batch.calls) {
      const to = from + call.job.texts.length;
      if (!call.settled) call.resolve(windowMasks(call.job, results.slice(from, to)));
      from = to;
    }
  }

  #fail(batch: Batch, error: unknown): void {
    if (batch.spoilt) {
      this.#again(batch);
      return;
    }
    this.#spoil(batch);
    for (const call of batch.calls) call.reject(toRvosError(error));
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

  /** The batch lost the frames it shares, not by its own fault: it runs once more, with all its frames. */
  #again({ calls }: Batch): void {
    this.#waiting.unshift(...calls.filter(({ settled }) => !settled));
  }

  /** A call that waits leaves; a batch under way is given up when nobody wants it or the frames it brings. */
  #abort(call: Call, signal: AbortSignal | undefined): void {
    call.reject(abortError(signal));
    const place = this.#waiting.indexOf(call);
    if (place >= 0) {
      this.#waiting.splice(place, 1);
      return;
    }
    const batch = [...this.#running].find(({ calls }) => calls.includes(call));
    if (!batch) return;
    // The caller may write to its frames from now on, while they are being copied.
    this.#held.spoil(call.job.window.stream);
    const unwanted = ({ calls }: Batch) => calls.every(({ settled }) => settled);
    if (!unwanted(batch) || ![...batch.dependents].every(unwanted)) return;
    this.#spoil(batch);
    this.pipeline.cancel(batch.id);
  }
}

function disposed(): RvosError {
  return new RvosError('BACKEND_FAILED', 'the segmenter was disposed', 'Open a new one.');
}
