import type { IncomingMessage } from 'node:http';
import type { ServerLimits } from '../limits.js';

/** Calls `onSlow` once if a request's body comes with fewer bytes a second, on average over its time so far. */
export function watchBodyRate(
  request: IncomingMessage,
  { minBodyRate, bodyGraceSeconds }: Pick<ServerLimits, 'minBodyRate' | 'bodyGraceSeconds'>,
  onSlow: () => void,
): void {
  if (minBodyRate <= 0) return;
  const before = request.socket.bytesRead;
  const began = performance.now();
  const watch = setInterval(() => {
    if (request.complete || request.destroyed) return clearInterval(watch);
    const seconds = (performance.now() - began) / 1000;
    if (seconds <= bodyGraceSeconds || (request.socket.bytesRead - before) / seconds >= minBodyRate) return;
    clearInterval(watch);
    onSlow();
  }, 500);
  watch.unref();
  request.once('close', () => clearInterval(watch));
}
