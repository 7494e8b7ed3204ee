import { abortError } from './errors.js';

/**
 * The same values, but the next one is being made while the current one is in use. `worthwhile` may decline for a value
 * so large that two would be too many. An abort ends the wait for a value at once.
 */
export async function* readAhead<T>(
  source: AsyncIterable<T>,
  signal: AbortSignal,
  worthwhile: (value: T) => boolean = () => true,
): AsyncGenerator<T, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const request = (): Promise<IteratorResult<T>> => {
    const next = iterator.next();
    next.catch(() => undefined); // told when its turn comes
    return next;
  };
  try {
    let next: Promise<IteratorResult<T>> | undefined = request();
    for (;;) {
      const result: IteratorResult<T> = await orAbort(next ?? request(), signal);
      if (result.done) return;
      next = worthwhile(result.value) ? request() : undefined;
      yield result.value;
    }
  } finally {
    // Not awaited: a source that waits for its next value cannot return before that comes.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** Not `Promise.race` with one promise for the abort: that promise would hold every value there ever was. */
function orAbort<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(abortError(signal));
    if (signal.aborted) return abort();
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
