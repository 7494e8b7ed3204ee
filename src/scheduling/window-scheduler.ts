import { abortError, throwIfAborted } from '../errors.js';
import { type BatchMessage, batchChannel } from './batch-channel.js';
import { FairQueue, type Queued } from './fair-queue.js';
import type { Priority } from './priority.js';

/**
 * Where windows run: a pipeline on a GPU, or a process that computes on the CPU. It says what it can take and of which form
 * a window is; the scheduler decides what it gets, and when.
 */
export interface WindowLane<Job, Result> {
  /** Batches under way at once; at least 1. */
  readonly batches: number;
  /** Windows in a batch; at least 1. */
  readonly windows: number;
  /** Jobs may share a batch where this is equal. */
  form(job: Job): string;
  /** Starts a batch of at least one call, all of one form. */
  start(calls: readonly WindowCall<Job, Result>[]): WindowBatch<Job, Result>;
}

/** A job that waits or runs. It is settled once: by its result, an error or an abort, whichever comes first. */
export interface WindowCall<Job, Result> {
  readonly job: Job;
  resolve(result: Result): void;
  reject(error: unknown): void;
  /** Its caller waits no longer. */
  readonly settled: boolean;
}

/** A batch under way. */
export interface WindowBatch<Job, Result> {
  /**
   * Resolves when the next batch may have its place, with the calls that must run once more; the lane has settled all the
   * others. Where it rejects, calls that are not settled get its error.
   */
  readonly done: Promise<readonly WindowCall<Job, Result>[]>;
  /** The signal of one of its calls has fired: the lane settles the call, and may give up the batch. */
  abort(call: WindowCall<Job, Result>, signal: AbortSignal): void;
}

export interface CallOptions {
  /** Whose window it is: windows of one request run in order, and requests take turns. */
  readonly request: unknown;
  /** Default `normal`. */
  readonly priority?: Priority | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface WindowSchedulerOptions {
  /**
   * How long a batch that is not full may wait for more windows, in seconds, and only while the lane is busy with another
   * one: a window that finds it idle starts at once. Default 0.002.
   */
  readonly latencyBudget?: number;
}

type Call<Job, Result> = Queued & WindowCall<Job, Result> & { settled: boolean };

/**
 * The one scheduler of windows in the product, in front of each lane: which request's windows go next (round-robin by
 * window, weighted by priority) and which share a batch (those of one form, whoever they are for).
 */
export class WindowScheduler<Job, Result> {
  readonly #queue = new FairQueue<Call<Job, Result>>();
  readonly #running = new Map<WindowBatch<Job, Result>, readonly Call<Job, Result>[]>();
  readonly #latencyBudget: number;
  #filling: ReturnType<typeof setTimeout> | undefined;
  #overdue = false;
  #scheduled = false;
  #closed: { readonly error: unknown } | undefined;

  constructor(
    private readonly lane: WindowLane<Job, Result>,
    { latencyBudget = 0.002 }: WindowSchedulerOptions = {},
  ) {
    this.#latencyBudget = latencyBudget;
  }

  /** Windows that wait for their turn. */
  get waiting(): number {
    return this.#queue.size;
  }

  /** Rejects with `RvosError` ABORTED once the signal fires, with what `close` was given, or with the lane's error. */
  run(job: Job, { request, priority = 'normal', signal }: CallOptions): Promise<Result> {
    return new Promise((resolve, reject) => {
      throwIfAborted(signal);
      if (this.#closed) throw this.#closed.error;
      const abort = () => this.#abort(call, signal!);
      const settle = (how: () => void) => {
        if (call.settled) return;
        call.settled = true;
        signal?.removeEventListener('abort', abort);
        how();
      };
      const call: Call<Job, Result> = {
        job,
        request,
        priority,
        form: this.lane.form(job),
        resolve: (result) => settle(() => resolve(result)),
        reject: (error) => settle(() => reject(error)),
        settled: false,
      };
      signal?.addEventListener('abort', abort, { once: true });
      this.#queue.add(call);
      this.#schedule();
    });
  }

  /** Calls under way and later ones fail with this error; ending the lane is its owner's. */
  close(error: unknown): void {
    this.#closed ??= { error };
    clearTimeout(this.#filling);
    for (const call of this.#queue.clear()) call.reject(error);
    for (const calls of this.#running.values()) for (const call of calls) call.reject(error);
  }

  /** Once all calls of this turn of the event loop are here, so that those made together run together. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      this.#startAll();
    });
  }

  #startAll(): void {
    while (!this.#closed && this.#queue.size > 0 && this.#running.size < this.lane.batches) {
      if (this.#shouldFill()) return;
      clearTimeout(this.#filling);
      this.#filling = undefined;
      this.#overdue = false;
      this.#start(this.#queue.take(this.lane.windows));
    }
  }

  /** Whether it is worth waiting for more windows: the lane has work, the batch has room, and there is time left. */
  #shouldFill(): boolean {
    if (this.#overdue || this.#latencyBudget <= 0 || this.#running.size === 0) return false;
    if (this.#queue.ready(this.lane.windows) >= this.lane.windows) return false;
    this.#filling ??= setTimeout(() => {
      this.#filling = undefined;
      this.#overdue = true;
      this.#startAll();
    }, 1000 * this.#latencyBudget);
    return true;
  }

  #start(calls: readonly Call<Job, Result>[]): void {
    let batch: WindowBatch<Job, Result>;
    try {
      batch = this.lane.start(calls);
    } catch (error) {
      for (const call of calls) call.reject(error);
      return;
    }
    this.#running.set(batch, calls);
    if (batchChannel.hasSubscribers) batchChannel.publish({ windows: calls.length } satisfies BatchMessage);
    batch.done
      .then(
        (again) => {
          for (const call of [...again].reverse()) if (!call.settled) this.#queue.putBack(call as Call<Job, Result>);
        },
        (error: unknown) => {
          for (const call of calls) call.reject(error);
        },
      )
      .finally(() => {
        this.#running.delete(batch);
        this.#schedule();
      });
  }

  #abort(call: Call<Job, Result>, signal: AbortSignal): void {
    const running = [...this.#running].find(([, calls]) => calls.includes(call));
    if (running) {
      running[0].abort(call, signal);
    } else {
      this.#queue.remove(call);
      call.reject(abortError(signal));
    }
  }
}
