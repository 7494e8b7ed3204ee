import { Presets, SingleBar } from 'cli-progress';
import type { SegmentProgress } from '../results/segmentation-stream.js';

/** Tells on standard error how far a run is: a bar on a terminal, else a line from time to time, or nothing. */
export interface ProgressDisplay {
  update(progress: SegmentProgress): void;
  /** Leaves the terminal as it was; safe to call twice. */
  stop(): void;
}

/** Time between two lines where there is no terminal, in milliseconds. */
const lineInterval = 5000;

export function progressDisplay(quiet: boolean): ProgressDisplay {
  if (quiet) return { update: () => undefined, stop: () => undefined };
  return process.stderr.isTTY ? new ProgressBar() : new ProgressLines();
}

class ProgressBar implements ProgressDisplay {
  #bar: SingleBar | undefined;

  update({ frames, totalFrames, windows }: SegmentProgress): void {
    if (totalFrames === null) {
      process.stderr.write(`\r${frames} frames, ${windows} windows `);
      return;
    }
    if (!this.#bar) {
      const format = 'segmenting {bar} {value}/{total} frames, {eta_formatted} left';
      this.#bar = new SingleBar({ format, stream: process.stderr, hideCursor: true }, Presets.shades_classic);
      this.#bar.start(totalFrames, 0);
    }
    // The container's duration is an estimate: the bar never runs over.
    this.#bar.setTotal(Math.max(totalFrames, frames));
    this.#bar.update(frames);
  }

  stop(): void {
    if (this.#bar) this.#bar.stop();
    this.#bar = undefined;
  }
}

class ProgressLines implements ProgressDisplay {
  #last = 0;

  update({ frames, totalFrames, windows }: SegmentProgress): void {
    const now = Date.now();
    if (now - this.#last < lineInterval) return;
    this.#last = now;
    const of = totalFrames === null ? '' : ` of ${Math.max(totalFrames, frames)}`;
    process.stderr.write(
      `segmenting: ${frames}${of} frames done, ${windows} ${windows === 1 ? 'window' : 'windows'} computed\n`,
    );
  }

  stop(): void {}
}
