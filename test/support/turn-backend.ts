import { setTimeout as sleep } from 'node:timers/promises';
import type { Frames, SegmentOptions, TextFeatures } from '../../src/backends/backend.js';
import { OneAtATime } from '../../src/scheduling/one-at-a-time.js';
import { FakeBackend } from './fake-backend.js';

/** A fake backend that does one window at a time, so many milliseconds each, in the scheduler's order. */
export class TurnBackend extends FakeBackend {
  readonly #turns = new OneAtATime();
  /** Streams of the windows, in the order in which they ran. */
  readonly order: number[] = [];

  constructor(milliseconds = 5) {
    super({ before: () => sleep(milliseconds) });
  }

  override segment(window: Frames, texts: readonly TextFeatures[], options: SegmentOptions = {}) {
    const { priority, signal } = options;
    const job = () => {
      this.order.push(window.stream);
      return super.segment(window, texts, options);
    };
    return this.#turns.run(job, { request: window.stream, priority, signal });
  }
}
