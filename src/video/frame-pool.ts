import { frameMemory } from '../scheduling/frame-memory.js';

/**
 * Buffers of one size that go round: memory outside the JavaScript heap is freed only when the collector runs, so that
 * frames of a long video would pile up and every new one would fault in fresh pages. Frames that are never given back
 * are simply collected.
 */
export class FramePool {
  readonly #free: Uint8Array[] = [];
  readonly #lent = new WeakSet<Uint8Array>();

  /** `limit`: how many idle buffers are kept, by default one window of frames and its overlap. */
  constructor(readonly limit = 32) {}

  take(bytes: number): Uint8Array {
    let buffer = this.#free.pop();
    if (buffer) frameMemory.dropIdle(buffer.length);
    // Every byte is overwritten before anybody sees it: no need to clear.
    if (buffer?.length !== bytes) buffer = new Uint8Array(Buffer.allocUnsafeSlow(bytes).buffer);
    this.#lent.add(buffer);
    return buffer;
  }

  /** Buffers that are not of this pool, or were given back already, are left alone. */
  giveBack(buffer: Uint8Array): void {
    if (!this.#lent.delete(buffer) || this.#free.length >= this.limit) return;
    if (frameMemory.keepIdle(this, buffer.length)) this.#free.push(buffer);
  }

  clear(): void {
    for (const { length } of this.#free.splice(0)) frameMemory.dropIdle(length);
  }
}
