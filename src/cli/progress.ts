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
  return isTerminal() ? new ProgressBar() : new ProgressLines();
}

/** Whether standard error is a terminal that a line can be drawn anew on. */
export function isTerminal(): boolean {
  return process.stderr.isTTY === true && process.env.TERM !== 'dumb';
}

/** Columns that the bar has when the line has this much other text. */
export function barColumns(text: number): number {
  return Math.max(0, Math.min(40, (process.stderr.columns || 80) - 1 - text));
}

/** Less than this says nothing. */
const leastBar = 5;

class ProgressBar implements ProgressDisplay {
  #bar: SingleBar | undefined;
  #began = performance.now();

  update({ frames, totalFrames, windows }: SegmentProgress): void {
    if (totalFrames === null) {
      process.stderr.write(`\r${frames} frames, ${windows} windows `);
      return;
    }
    if (!this.#bar) {
      const barsize = barColumns(`segmenting  ${totalFrames}/${totalFrames} frames, 10h59m left`.length);
      const format = barsize < leastBar ? '{value}/{total}{left}' : 'segmenting {bar} {value}/{total} frames{left}';
      this.#bar = new SingleBar({ format, barsize, stream: process.stderr, hideCursor: true }, Presets.shades_classic);
      this.#bar.start(totalFrames, 0, { left: '' });
    }
    // The container's duration is an estimate: the bar never runs over.
    this.#bar.setTotal(Math.max(totalFrames, frames));
    this.#bar.update(frames, { left: this.#left(frames, totalFrames) });
  }

  /** Known from the first window on. */
  #left(frames: number, totalFrames: number): string {
    if (frames === 0 || frames >= totalFrames) return '';
    const seconds = ((performance.now() - this.#began) / 1000 / frames) * (totalFrames - frames);
    return `, ${durationLabel(seconds)} left`;
  }

  stop(): void {
    if (this.#bar) this.#bar.stop();
    this.#bar = undefined;
  }
}

/** `45s`, `3m20s`, `1h05m`. */
export function durationLabel(seconds: number): string {
  const whole = Math.max(1, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, '0');
  if (whole < 60) return `${whole}s`;
  if (whole < 3600) return `${Math.floor(whole / 60)}m${two(whole % 60)}s`;
  return `${Math.floor(whole / 3600)}h${two(Math.floor((whole % 3600) / 60))}m`;
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
