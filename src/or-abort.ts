import { abortError } from './errors.js';

/**
 * The promise, or `RvosError` ABORTED as soon as the signal fires; what the promise was for goes on then. Not
 * `Promise.race` with one promise for the abort: that promise would hold every value there ever was.
 */
export function orAbort<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  promise.catch(() => undefined); // also awaited below, unless the abort came first
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(abortError(signal));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
