import { orAbort } from '../or-abort.js';

/** A value whose work has been started. */
export interface InFlight<T, R> {
  readonly value: T;
  readonly result: Promise<R>;
  /** Makes room: the work of a later value may start. Called by whoever has taken the result; once is enough. */
  release(): void;
}

export interface InFlightOptions<T> {
  /** How many values like this one may be in flight at once; at least 1. */
  readonly limit: (value: T) => number;
  /** Ends the wait for a value at once. */
  readonly signal: AbortSignal;
}

/**
 * Starts work for each value as soon as it is there and there is room for it, and yields the values in their order,
 * without waiting for the work. At most `limit` values are started and not yet released, and one more waits. Work goes
 * on, and new work starts, while the consumer does something else. An error of the source comes after all that it gave.
 */
export async function* inFlight<T, R>(
  source: AsyncIterable<T>,
  start: (value: T) => Promise<R>,
  options: InFlightOptions<T>,
): AsyncGenerator<InFlight<T, R>, void, undefined> {
  const iterator = source[Symbol.asyncIterator]();
  const started: InFlight<T, R>[] = [];
  const change = new Change();
  let running = 0;
  let ended: { readonly error?: unknown } | undefined;
  let left = false;

  const begin = (value: T): InFlight<T, R> => {
    let held = true;
    const result = start(value);
    result.catch(() => undefined); // told when its turn comes
    const release = () => {
      if (held) running--;
      held = false;
      change.tell();
    };
    return { value, result, release };
  };
  const pump = async (): Promise<void> => {
    for (;;) {
      const next = await orAbort(iterator.next(), options.signal);
      if (next.done) return;
      const limit = Math.max(1, options.limit(next.value));
      while (running >= limit && !left) await change.next();
      if (left) return;
      running++;
      started.push(begin(next.value));
      change.tell();
    }
  };
  pump()
    .then(
      () => {
        ended = {};
      },
      (error: unknown) => {
        ended = { error };
      },
    )
    .finally(() => change.tell());

  try {
    for (;;) {
      const first = started.shift();
      if (first) yield first;
      else if (ended) break;
      else await change.next();
    }
    if ('error' in ended) throw ended.error;
  } finally {
    left = true;
    change.tell();
    // Not awaited: a source that waits for its next value cannot return before that comes.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  }
}

/** Wakes all who wait for something to change. */
class Change {
  #wake: () => void = () => undefined;
  #changed: Promise<void> | undefined;

  next(): Promise<void> {
    this.#changed ??= new Promise((resolve) => {
      this.#wake = resolve;
    });
    return this.#changed;
  }

  tell(): void {
    this.#changed = undefined;
    this.#wake();
  }
}
