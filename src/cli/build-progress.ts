import { Presets, SingleBar } from 'cli-progress';
import type { EngineBuildProgress } from '../engines/build-engines.js';
import { barColumns, isTerminal } from './progress.js';

/** Tells on standard error how far a build of engines is. */
export interface BuildDisplay {
  update(progress: EngineBuildProgress): void;
  /** Leaves the terminal as it was; safe to call twice. */
  stop(): void;
}

/** Time between two lines where there is no terminal, in milliseconds. */
const lineInterval = 5000;
/** The clock runs on a terminal even while a phase says nothing. */
const tickInterval = 250;

/** A bar on a terminal, else a line for each engine and from time to time, or nothing. */
export function buildDisplay(quiet: boolean): BuildDisplay {
  if (quiet) return { update: () => undefined, stop: () => undefined };
  return isTerminal() ? new BuildBar() : new BuildLines();
}

class BuildBar implements BuildDisplay {
  readonly #bar = new SingleBar(
    {
      format: '{engine} ({number}/{count}) {bar} {phase}, {elapsed} s',
      stream: process.stderr,
      hideCursor: true,
      barsize: Math.min(24, barColumns(60)),
    },
    Presets.shades_classic,
  );
  #latest: { readonly progress: EngineBuildProgress; readonly at: number } | undefined;
  #timer: NodeJS.Timeout | undefined;

  update(progress: EngineBuildProgress): void {
    this.#latest = { progress, at: performance.now() };
    if (!this.#timer) {
      this.#bar.start(1, 0, this.#payload());
      this.#timer = setInterval(() => this.#bar.update(this.#payload()), tickInterval);
      this.#timer.unref();
    }
    this.#bar.setTotal(Math.max(1, progress.steps));
    this.#bar.update(Math.min(progress.step, progress.steps), this.#payload());
  }

  stop(): void {
    if (!this.#timer) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#bar.stop();
  }

  #payload(): Record<string, string | number> {
    if (!this.#latest) return {};
    const { progress, at } = this.#latest;
    const seconds = progress.seconds + (performance.now() - at) / 1000;
    const { engine, number, count } = progress;
    return { engine, number, count, phase: phaseLabel(progress), elapsed: seconds.toFixed(0) };
  }
}

class BuildLines implements BuildDisplay {
  #engine = '';
  #last = 0;

  update(progress: EngineBuildProgress): void {
    const { engine, number, count, step, steps, seconds } = progress;
    const now = Date.now();
    if (engine === this.#engine && now - this.#last < lineInterval) return;
    this.#engine = engine;
    this.#last = now;
    process.stderr.write(
      `building ${engine} (${number} of ${count}): ${phaseLabel(progress)}, step ${step} of ${steps}, ${seconds.toFixed(0)} s\n`,
    );
  }

  stop(): void {}
}

/** Names of phases come from the library: short, and on one line. */
function phaseLabel({ phase }: EngineBuildProgress): string {
  const line = phase.replace(/\p{Cc}+/gu, ' ').trim();
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
