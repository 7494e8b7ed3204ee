import { type CallOptions, type WindowLane, WindowScheduler } from './window-scheduler.js';

type Job = () => Promise<unknown>;

/** Whoever aborts a job that runs must see to it that it ends: its place is free, and its caller told, when it has. */
const lane: WindowLane<Job, unknown> = {
  batches: 1,
  windows: 1,
  form: () => '',
  start: ([call]) => ({
    done: call!.job().then((result) => {
      call!.resolve(result);
      return [];
    }),
    abort: () => undefined,
  }),
};

/** The scheduler in front of a place that does one thing at a time, as a process that computes on the CPU. */
export class OneAtATime {
  readonly #scheduler = new WindowScheduler(lane);

  /** A job that is aborted while it waits leaves at once. Rejects as `WindowScheduler.run` does. */
  run<T>(job: () => Promise<T>, options: CallOptions): Promise<T> {
    return this.#scheduler.run(job, options) as Promise<T>;
  }

  /** Jobs under way and later ones fail with this error. */
  close(error: unknown): void {
    this.#scheduler.close(error);
  }
}
