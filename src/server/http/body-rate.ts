import type { IncomingMessage } from 'node:http';

/** Seconds until which nothing is said about a body's rate. */
const graceSeconds = 10;

/** Calls `onSlow` once if a request's body comes with fewer bytes a second, on average over its time so far. */
export function watchBodyRate(request: IncomingMessage, minRate: number, onSlow: () => void): void {
  if (minRate <= 0) return;
  const before = request.socket.bytesRead;
  const began = performance.now();
  const watch = setInterval(() => {
    if (request.complete || request.destroyed) return clearInterval(watch);
    const seconds = (performance.now() - began) / 1000;
    if (seconds <= graceSeconds || (request.socket.bytesRead - before) / seconds >= minRate) return;
    clearInterval(watch);
    onSlow();
  }, 1000);
  watch.unref();
  request.once('close', () => clearInterval(watch));
}
