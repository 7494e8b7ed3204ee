/** A frame's time, in ticks of the stream's time base since the first frame. */
export interface FrameTime {
  readonly ticks: number;
  /** The container's time went back here: the frame is placed after the one before it. */
  readonly wentBack: boolean;
}

/**
 * Places frames on one time line that never goes back. Joined recordings and reconnects start their times anew; there the line
 * goes on from the last frame by its duration, and all that follows moves along. Frames without a time come after the one
 * before by its duration.
 */
export class FrameTimes {
  #first: number | undefined;
  #lastSource: number | undefined;
  #last = 0;
  /** How far the time line is ahead of the container's times. */
  #shift = 0;
  /** Duration of the frame before the last one, in ticks: the best guess for one whose end is not known. */
  #duration: number;

  /** `nominal`: ticks of a frame where nothing else is known; at least 1. */
  constructor(nominal: number) {
    this.#duration = Math.max(1, Math.round(nominal));
  }

  /** Ticks of a frame whose end is not known. */
  get usualDuration(): number {
    return this.#duration;
  }

  /** True while the container's times were taken as they are. */
  get unchanged(): boolean {
    return this.#shift === 0;
  }

  /** The time of the next frame. `pts` is the container's, null where it has none. */
  next(pts: number | null): FrameTime {
    if (this.#first === undefined) {
      this.#first = pts ?? 0;
      this.#lastSource = pts ?? undefined;
      return { ticks: 0, wentBack: false };
    }
    const source = pts ?? (this.#lastSource ?? this.#first) + this.#duration;
    const before = this.#lastSource ?? this.#first;
    const wentBack = source < before;
    if (wentBack) this.#shift = this.#last + this.#duration - (source - this.#first);
    // Two frames at one time: the second a tick later, which moves nothing else.
    const ticks = Math.max(source - this.#first + this.#shift, this.#last + 1);
    if (!wentBack && source > before) this.#duration = source - before;
    this.#lastSource = source;
    this.#last = ticks;
    return { ticks, wentBack };
  }
}
