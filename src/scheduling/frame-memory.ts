import { abortError, throwIfAborted } from '../errors.js';

export interface FrameMemoryLimits {
  /** Bytes of frames held over all streams, those that wait to be used again included. */
  maxFrameMemory: number;
  /** Decoders at a time. */
  maxDecoders: number;
}

/** A stream that has waited for its reader for so long, in seconds, is taken to wait for more than the next call. */
const patience = 0.25;

interface Waiting {
  readonly hold: FrameHold;
  readonly wanted: number;
  readonly grant: () => void;
}

/**
 * Decoders and decoded frames of all streams of a process. A stream enters before it decodes and takes memory before each
 * window: all frames that are new in it at once, so that no stream waits in the middle of a window. Nobody waits for ever:
 *
 * - the window that a stream needs next always fits where no other stream holds frames, whatever its size;
 * - where all that hold frames wait for their readers, or for memory themselves, one more is let in beyond the limit;
 * - a stream that waits for its reader does not count as a decoder.
 */
export class FrameMemory {
  readonly limits: FrameMemoryLimits;
  readonly #holds = new Set<FrameHold>();
  /** Streams that want to decode, first come first served. */
  readonly #entering: Waiting[] = [];
  /** Streams that want memory. */
  readonly #wanting: Waiting[] = [];
  #idle = 0;
  readonly #pools = new Set<{ clear(): void }>();
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(limits: Partial<FrameMemoryLimits> = {}) {
    this.limits = { maxFrameMemory: 512e6, maxDecoders: 4, ...limits };
  }

  /** Bytes of frames that streams hold. */
  get held(): number {
    let bytes = 0;
    for (const hold of this.#holds) bytes += hold.bytes;
    return bytes;
  }

  /** Decoders at work: those of streams that wait for their readers do not count. */
  get decoders(): number {
    const now = performance.now();
    return this.#decoders((hold) => !hold.waitsForReader(now));
  }

  /** Streams that have not been let in yet, and those that wait for memory. */
  get waiting(): { readonly decoders: number; readonly memory: number } {
    return { decoders: this.#entering.length, memory: this.#wanting.length };
  }

  /** A stream that decodes nothing itself: it waits for memory only. */
  join(): FrameHold {
    const hold = new FrameHold(this, { decodes: false });
    this.#holds.add(hold);
    return hold;
  }

  /**
   * Waits for a decoder. One is kept free of streams that are `long`, so that a short one need not wait until a long one
   * has ended. Rejects with `RvosError` ABORTED.
   */
  async enter(
    options: { readonly long?: boolean; readonly signal?: AbortSignal | undefined } = {},
  ): Promise<FrameHold> {
    const hold = new FrameHold(this, { decodes: true, long: options.long });
    await this.wait(this.#entering, hold, 0, options.signal);
    return hold;
  }

  /** Whether a pool may keep a buffer that is to be used again; it counts until `dropIdle`. */
  keepIdle(pool: { clear(): void }, bytes: number): boolean {
    if (this.held + this.#idle + bytes > this.limits.maxFrameMemory) return false;
    this.#idle += bytes;
    this.#pools.add(pool);
    return true;
  }

  /** A buffer that was kept is used again, or gone. */
  dropIdle(bytes: number): void {
    this.#idle -= bytes;
  }

  /** @internal */
  take(hold: FrameHold, bytes: number, signal: AbortSignal | undefined): Promise<void> {
    return this.wait(this.#wanting, hold, bytes, signal);
  }

  /** @internal */
  leave(hold: FrameHold): void {
    this.#holds.delete(hold);
    this.check();
  }

  /** @internal Lets in who can be; called whenever something changed. */
  check(): void {
    const now = performance.now();
    for (let next = this.#nextToEnter(now); next; next = this.#nextToEnter(now)) this.#grant(this.#entering, next);
    for (let next = this.#nextToTake(now); next; next = this.#nextToTake(now)) this.#grant(this.#wanting, next);
    const waits = this.#entering.length > 0 || this.#wanting.length > 0;
    if (waits && !this.#timer) {
      this.#timer = setTimeout(
        () => {
          this.#timer = undefined;
          this.check();
        },
        (1000 * patience) / 2,
      );
    }
  }

  #grant(queue: Waiting[], next: Waiting): void {
    queue.splice(queue.indexOf(next), 1);
    this.#holds.add(next.hold);
    next.hold.bytes += next.wanted;
    if (this.#idle > 0 && this.held + this.#idle > this.limits.maxFrameMemory) {
      for (const pool of this.#pools) pool.clear();
      this.#pools.clear();
    }
    next.grant();
  }

  #decoders(counts: (hold: FrameHold) => boolean): number {
    let count = 0;
    for (const hold of this.#holds) if (hold.decodes && counts(hold)) count++;
    return count;
  }

  #nextToEnter(now: number): Waiting | undefined {
    const { maxDecoders } = this.limits;
    if (this.#decoders((hold) => !hold.waitsForReader(now)) >= maxDecoders) return undefined;
    const long = this.#decoders((hold) => hold.long && !hold.waitsForReader(now));
    return this.#entering.find(({ hold }) => !hold.long || long < Math.max(1, maxDecoders - 1));
  }

  #nextToTake(now: number): Waiting | undefined {
    // Windows that nobody waits for yet come last, those of streams that hold nothing first.
    const order = ({ hold }: Waiting) => (hold.computing > 0 ? 2 : hold.bytes > 0 ? 1 : 0);
    const next = this.#wanting.reduce<Waiting | undefined>(
      (best, each) => (!best || order(each) < order(best) ? each : best),
      undefined,
    );
    if (!next) return undefined;
    const { held } = this;
    if (held + next.wanted <= this.limits.maxFrameMemory) return next;
    if (next.hold.computing > 0) return undefined;
    const wanting = new Set(this.#wanting.map(({ hold }) => hold));
    const stuck = (hold: FrameHold) => hold.waitsForReader(now) || (wanting.has(hold) && hold.computing === 0);
    return [...this.#holds].every((hold) => hold === next.hold || hold.bytes === 0 || stuck(hold)) ? next : undefined;
  }

  /** @internal */
  wait(queue: Waiting[], hold: FrameHold, wanted: number, signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      throwIfAborted(signal);
      const abort = () => {
        queue.splice(queue.indexOf(waiting), 1);
        reject(abortError(signal));
        this.check();
      };
      const grant = () => {
        signal?.removeEventListener('abort', abort);
        resolve();
      };
      const waiting: Waiting = { hold, wanted, grant };
      signal?.addEventListener('abort', abort, { once: true });
      queue.push(waiting);
      this.check();
    });
  }
}

/** What one stream has of the memory. */
export class FrameHold {
  /** Bytes of frames that the stream holds, or may decode. */
  bytes = 0;
  /** Windows under way, until their frames have left. */
  computing = 0;
  decodes: boolean;
  /** One of those that leave a decoder to others. */
  readonly long: boolean;
  #readerSince: number | undefined;

  constructor(
    private readonly memory: FrameMemory,
    { decodes, long = false }: { readonly decodes: boolean; readonly long?: boolean | undefined },
  ) {
    this.decodes = decodes;
    this.long = long;
  }

  /** Waits until frames of so many bytes may be decoded. Rejects with `RvosError` ABORTED. */
  take(bytes: number, signal?: AbortSignal): Promise<void> {
    return this.memory.take(this, bytes, signal);
  }

  /** Frames of so many bytes are held no longer. */
  giveBack(bytes: number): void {
    this.bytes = Math.max(0, this.bytes - bytes);
    this.memory.check();
  }

  /** A window is under way (1), or its frames have left (−1). Meanwhile the stream can do without memory for the next one. */
  compute(change: 1 | -1): void {
    this.computing += change;
    this.memory.check();
  }

  /** All is decoded. */
  endDecoding(): void {
    this.decodes = false;
    this.memory.check();
  }

  /** The stream has something for its reader, who has not asked for more yet. */
  beginReading(): void {
    this.#readerSince ??= performance.now();
  }

  endReading(): void {
    this.#readerSince = undefined;
  }

  waitsForReader(now: number): boolean {
    return this.#readerSince !== undefined && now - this.#readerSince >= 1000 * patience;
  }

  /** Holds nothing any more; safe to call twice. */
  leave(): void {
    this.bytes = 0;
    this.decodes = false;
    this.memory.leave(this);
  }
}

/** That of this process. */
export const frameMemory = new FrameMemory();
