import { formatRoughly } from '../byte-size.js';
import type { PullProgress } from '../pull/pull-model.js';

/** Without a terminal a line a minute, and one at each new phase. */
const lineMilliseconds = 60_000;
const redrawMilliseconds = 200;
/** The rate is that of the last seconds, so that it follows a connection that changes. */
const rateMilliseconds = 10_000;

const longHashBytes = 100e6;

const phases: Record<PullProgress['phase'], string> = {
  waiting: 'another rvos pulls this model: waiting for it',
  listing: 'asking the source what there is',
  downloading: 'downloading',
  verifying: 'verifying',
  importing: 'importing',
  trying: 'trying it on the sample clip',
};

/** Tells on standard error how far a pull is: phase, bytes, rate and remaining time. */
export class PullDisplay {
  #phase: string | undefined;
  #last = 0;
  #open = false;
  readonly #samples: { readonly time: number; readonly bytes: number }[] = [];

  constructor(
    private readonly quiet: boolean,
    private readonly terminal = process.stderr.isTTY === true && process.env.TERM !== 'dumb',
    private readonly write: (text: string) => void = (text) => process.stderr.write(text),
    private readonly now: () => number = Date.now,
  ) {}

  update(progress: PullProgress): void {
    if (this.quiet) return;
    const { phase, retry } = progress;
    if (retry) {
      this.#end();
      this.write(`${retry}\n`);
      return;
    }
    const now = this.now();
    if (phase === 'downloading') this.#sample(now, progress.bytes);
    // Between small files the work stays the same; hashing a large one takes a while, in which nothing comes in.
    const brief = phase === 'verifying' && (progress.totalBytes ?? 0) < longHashBytes;
    const fresh = phase !== this.#phase && !brief;
    if (!fresh && now - this.#last < (this.terminal ? redrawMilliseconds : lineMilliseconds)) return;
    if (fresh && phase !== 'verifying') this.#end();
    if (!brief) this.#phase = phase;
    this.#last = now;
    const line = this.#line(progress);
    if (!this.terminal) this.write(`${line}\n`);
    else {
      const width = Math.max((process.stderr.columns || 80) - 1, 10);
      this.write(`\r${line.slice(0, width).padEnd(width)}`);
      this.#open = true;
    }
  }

  /** Leaves the terminal on a new line. */
  stop(): void {
    this.#end();
  }

  #line({ phase, bytes, totalBytes, file }: PullProgress): string {
    if (phase !== 'downloading') return phase === 'verifying' ? `verifying ${file ?? ''}` : phases[phase];
    const of = totalBytes === null ? formatRoughly(bytes) : `${formatRoughly(bytes)} of ${formatRoughly(totalBytes)}`;
    const percent = totalBytes ? ` ${Math.min(Math.floor((bytes / totalBytes) * 100), 99)} %` : '';
    const rate = this.#rate();
    if (rate === undefined) return `downloading ${file ?? ''} ${of}${percent}`;
    const left = totalBytes === null ? '' : `, ${duration((totalBytes - bytes) / rate)} left`;
    return `downloading ${file ?? ''} ${of}${percent}, ${formatRoughly(rate)}/s${left}`;
  }

  #sample(time: number, bytes: number): void {
    const last = this.#samples.at(-1);
    if (last && bytes < last.bytes) this.#samples.length = 0;
    this.#samples.push({ time, bytes });
    while (this.#samples.length > 2 && time - this.#samples[0]!.time > rateMilliseconds) this.#samples.shift();
  }

  /** Bytes a second; undefined until a second has passed. */
  #rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.time - first.time < 1000 || last.bytes <= first.bytes) return undefined;
    return ((last.bytes - first.bytes) / (last.time - first.time)) * 1000;
  }

  #end(): void {
    if (this.#open) this.write('\n');
    this.#open = false;
  }
}

function duration(seconds: number): string {
  if (seconds < 90) return `${Math.ceil(seconds)} s`;
  return seconds < 5400 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
