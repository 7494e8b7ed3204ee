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
  let abort: () => void = () => undefined;
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(abortError(signal));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
  aborted.catch(() => undefined);
  const request = (): Promise<IteratorResult<T>> => {
    const next = iterator.next();
    next.catch(() => undefined); // told when its turn comes
    return next;
  };
  try {
    let next: Promise<IteratorResult<T>> | undefined = request();
    for (;;) {
      const result: IteratorResult<T> = await Promise.race([next ?? request(), aborted]);
      if (result.done) return;
      next = worthwhile(result.value) ? request() : undefined;
      yield result.value;
    }
  } finally {
    signal.removeEventListener('abort', abort);
    // Not awaited: a source that waits for its next value cannot return before that comes.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}
