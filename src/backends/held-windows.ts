/** Where the network runs, the last window of a video stays: its frames need not be brought and prepared again. */
export interface HeldWindow {
  /** Index of the window's first frame in the video. */
  readonly start: number;
  /** T */
  readonly count: number;
  /** Whatever else the prepared frames depend on, as sizes and antialias: frames made otherwise are other frames. */
  readonly form: string;
}

/** What is held for each video, the least recently used of them first. */
export class HeldWindows {
  readonly #held = new Map<number, HeldWindow>();

  constructor(private readonly capacity: number) {}

  /** How many of the window's first frames are held: the rest of the stream's last window from `start` on. */
  shared(stream: number, { start, count, form }: HeldWindow): number {
    const held = this.#held.get(stream);
    if (held?.form !== form || start < held.start) return 0;
    return Math.max(0, Math.min(held.start + held.count - start, count));
  }

  /**
   * From now on `window` is what is held for the stream. Returns the streams whose place it needs, least recently used
   * first and never one that is `busy`: they are held no longer.
   */
  hold(stream: number, window: HeldWindow, busy: (stream: number) => boolean = () => false): number[] {
    this.#held.delete(stream);
    const idle = [...this.#held.keys()].filter((other) => !busy(other));
    const forgotten = idle.slice(0, Math.max(0, this.#held.size + 1 - this.capacity));
    for (const other of forgotten) this.#held.delete(other);
    this.#held.set(stream, window);
    return forgotten;
  }

  /** The stream's frames cannot be relied on any more; its place stays its own. */
  spoil(stream: number): void {
    const held = this.#held.get(stream);
    if (held) this.#held.set(stream, { ...held, count: 0 });
  }

  clear(): void {
    this.#held.clear();
  }
}
