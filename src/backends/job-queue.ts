import { abortError, throwIfAborted } from '../errors.js';

/** Runs jobs one after another, in the order they came. A job that is aborted while it waits leaves at once. */
export class JobQueue {
  #last: Promise<unknown> = Promise.resolve();

  run<T>(job: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      throwIfAborted(signal);
      const leave = () => reject(abortError(signal));
      signal?.addEventListener('abort', leave, { once: true });
      this.#last = this.#last.then(async () => {
        signal?.removeEventListener('abort', leave);
        if (signal?.aborted) return;
        await job().then(resolve, reject);
      });
    });
  }
}
