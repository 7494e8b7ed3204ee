import { RvosError } from '../errors.js';

/** A signal that fires when `signal` does, or after so many seconds with DEADLINE_EXCEEDED; `end` stops the clock. */
export function deadlineSignal(
  seconds: number | undefined,
  signal: AbortSignal | undefined,
): { readonly signal: AbortSignal | undefined; end(): void } {
  if (seconds === undefined) return { signal, end: () => undefined };
  if (!(seconds > 0)) {
    throw new RvosError('BAD_ARGUMENT', `a deadline of ${seconds} s is none`, 'Give seconds from now, more than 0.');
  }
  const controller = new AbortController();
  const forward = () => controller.abort(signal?.reason);
  const late = () =>
    controller.abort(
      new RvosError('DEADLINE_EXCEEDED', `it was not done within ${seconds} s`, 'Allow more time, or ask for less.'),
    );
  const timer = setTimeout(late, Math.min(1000 * seconds, 2 ** 31 - 1));
  if (signal?.aborted) forward();
  else signal?.addEventListener('abort', forward, { once: true });
  const end = () => {
    clearTimeout(timer);
    signal?.removeEventListener('abort', forward);
  };
  controller.signal.addEventListener('abort', end, { once: true });
  return { signal: controller.signal, end };
}
