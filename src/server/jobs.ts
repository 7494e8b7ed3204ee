import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import PQueue from 'p-queue';
import { RvosError } from '../errors.js';
import type { Priority } from '../scheduling/priority.js';
import type { AcceptedJobs } from './accepted-jobs.js';
import { endStates, type Job, type JobResult } from './job.js';
import type { JobStore } from './job-store.js';
import type { ServerLimits } from './limits.js';
import { LiveJob } from './live-job.js';
import { committedResult, runIntoPlace } from './run-into-place.js';
import { publicMessage, type RunContext } from './run-job.js';

export interface JobsOptions extends RunContext {
  readonly store: JobStore;
  readonly limits: RunContext['limits'] & Pick<ServerLimits, 'jobs' | 'maxQueue' | 'keepSeconds'>;
  readonly onStart?: (job: Job) => void;
  readonly onEnd?: (job: Job) => void;
  /** Called where an end could not be written; it is tried again. */
  readonly onStoreError?: (error: unknown) => void;
}

const ranks: Readonly<Record<Priority, number>> = { low: 0, normal: 1, high: 2 };
/** How a job is told to stop, as the reason of its signal. */
const cancelled = new Error('cancelled');
const shutDown = new Error('shut down');
const longestPauseSeconds = 30;

/**
 * Runs accepted jobs, each to exactly one end. A job is accepted once the store has it; its outputs are written to a folder of
 * its own and renamed into place when all of them are complete, before the store says `done`. Whatever the process dies in the
 * middle of, the next one takes up: `recover`.
 */
export class Jobs implements AcceptedJobs {
  readonly #live = new Map<string, LiveJob>();
  readonly #places: PQueue;
  /** Long videos pass here first: it is narrower by one. */
  readonly #longPlaces: PQueue;
  readonly #expiry: ReturnType<typeof setInterval>;
  /** Requests that may become jobs. */
  #reserved = 0;
  readonly #closing = new AbortController();

  constructor(readonly options: JobsOptions) {
    const { jobs } = options.limits;
    this.#places = new PQueue({ concurrency: jobs });
    this.#longPlaces = new PQueue({ concurrency: Math.max(1, jobs - 1) });
    this.#expiry = setInterval(() => void this.expire().catch(() => undefined), 60_000);
    this.#expiry.unref();
  }

  get waiting(): number {
    return this.#live.size - this.running;
  }

  get running(): number {
    let running = 0;
    for (const live of this.#live.values()) if (live.running) running++;
    return running;
  }

  get full(): boolean {
    const { jobs, maxQueue } = this.options.limits;
    return this.#live.size + this.#reserved >= jobs + maxQueue;
  }

  live(id: string): LiveJob | undefined {
    return this.#live.get(id);
  }

  reserve(): () => void {
    this.#reserved++;
    return () => {
      this.#reserved--;
    };
  }

  async accept(job: Job): Promise<{ job: Job; added: boolean }> {
    if (this.#closing.signal.aborted) {
      throw new RvosError('BACKEND_FAILED', 'the server is shutting down', 'Try again later.');
    }
    const live = this.#enter(job.id);
    try {
      const accepted = await this.options.store.add(job);
      if (accepted.added) this.#queue(job, live);
      else this.#leave(live);
      return accepted;
    } catch (error) {
      this.#leave(live);
      throw error;
    }
  }

  async recover(): Promise<number> {
    const { store, folders } = this.options;
    const unfinished: Job[] = [];
    const ids = new Set<string>();
    for await (const job of store.all()) {
      ids.add(job.id);
      if (!endStates.includes(job.state)) unfinished.push(job);
    }
    await folders.sweep(new Set(unfinished.map(({ input }) => input)), ids);
    for (const job of unfinished) {
      const result = await committedResult(folders.result(job.id));
      if (result) await this.#end(job, { state: 'done', result });
      else this.#queue(job, this.#enter(job.id));
    }
    return unfinished.length;
  }

  async remove(job: Job): Promise<void> {
    const { store, folders } = this.options;
    const live = this.#live.get(job.id);
    if (live) {
      const ended = new Promise<void>((resolve) => {
        const check = () => {
          if (live.ended) resolve();
          else live.once('change', check);
        };
        check();
      });
      live.controller.abort(cancelled);
      if (!live.running) await this.#end(job, { state: 'cancelled' }, live);
      await ended;
      return;
    }
    await store.remove(job.id);
    await rm(folders.result(job.id), { recursive: true, force: true });
  }

  async expire(now = Date.now()): Promise<void> {
    const { store, limits } = this.options;
    for await (const job of store.all()) {
      if (job.ended !== undefined && now - job.ended > 1000 * limits.keepSeconds) await this.remove(job);
    }
  }

  async close(graceSeconds: number): Promise<void> {
    this.#closing.abort(shutDown);
    clearInterval(this.#expiry);
    const waiting = [...this.#live.values()].filter(({ running }) => !running);
    for (const live of waiting) live.controller.abort(shutDown);
    const late = setTimeout(() => {
      for (const live of this.#live.values()) live.controller.abort(shutDown);
    }, 1000 * graceSeconds);
    await this.#longPlaces.onIdle();
    await this.#places.onIdle();
    clearTimeout(late);
  }

  #enter(id: string): LiveJob {
    const live = new LiveJob(id);
    this.#live.set(id, live);
    return live;
  }

  #leave(live: LiveJob): void {
    this.#live.delete(live.id);
    live.ended = true;
    live.tell();
  }

  #queue(job: Job, live: LiveJob): void {
    const priority = ranks[job.options.priority ?? 'normal'];
    const work = () => this.#places.add(() => this.#run(job, live), { priority });
    const long = (job.seconds ?? Number.POSITIVE_INFINITY) > this.options.service.shortSeconds;
    void (long ? this.#longPlaces.add(work, { priority }) : work());
  }

  async #run(job: Job, live: LiveJob): Promise<void> {
    const { signal } = live.controller;
    if (signal.aborted) {
      if (signal.reason === shutDown) this.#leave(live);
      return;
    }
    const { store, folders, onStart } = this.options;
    let result: JobResult;
    try {
      live.running = true;
      const started = await store.change(job.id, ['queued', 'running'], { state: 'running', started: Date.now() });
      if (!started) return this.#leave(live);
      onStart?.(started);
      live.tell();
      result = await runIntoPlace(job, live, this.options);
    } catch (error) {
      if (signal.reason === shutDown) return this.#leave(live);
      if (signal.reason === cancelled) return this.#end(job, { state: 'cancelled' }, live);
      const code = error instanceof RvosError ? error.code : 'BACKEND_FAILED';
      return this.#end(job, { state: 'failed', error: { code, message: publicMessage(error, job, folders) } }, live);
    }
    await this.#end(job, { state: 'done', result }, live);
  }

  /** Writes how a job ended. Where the store cannot (a full disk), the job stays what it was and this tries again. */
  async #end(job: Job, how: Pick<Job, 'state' | 'result' | 'error'>, live?: LiveJob): Promise<void> {
    const { store, folders, onEnd, onStoreError } = this.options;
    for (let pause = 0.5; ; pause = Math.min(2 * pause, longestPauseSeconds)) {
      try {
        const ended = await store.change(job.id, ['queued', 'running'], { ...how, ended: Date.now() });
        if (ended) onEnd?.(ended);
        await rm(folders.upload(job.input), { force: true }).catch(() => undefined);
        break;
      } catch (error) {
        onStoreError?.(error);
        const { signal } = this.#closing;
        if (!signal.aborted) await sleep(1000 * pause, undefined, { signal }).catch(() => undefined);
        // What is not written is found out anew by the next process.
        if (signal.aborted) break;
      }
    }
    if (live) this.#leave(live);
  }
}
