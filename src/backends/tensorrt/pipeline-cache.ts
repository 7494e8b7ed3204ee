import PQueue from 'p-queue';
import { RvosError } from '../../errors.js';
import type { Size } from '../../preprocess/size-rule.js';
import type { PipelineLane } from './pipeline-lane.js';

interface Entry {
  readonly lane: Promise<PipelineLane>;
  /** Set once it is open. */
  open: PipelineLane | undefined;
  /** Calls that have it or wait for it. */
  users: number;
  idle: () => void;
}

/**
 * One pipeline for each size of the network's input, opened when first asked for. When there are too many, or memory of
 * the GPU does not suffice for one more, the least recently used one ends as soon as nobody uses it.
 */
export class PipelineCache {
  /** Least recently used first. */
  readonly #entries = new Map<string, Entry>();
  /** Pipelines are opened one at a time, so that each knows what memory is left. */
  readonly #opening = new PQueue({ concurrency: 1 });
  #disposed = false;

  constructor(
    private readonly capacity: number,
    private readonly openPipeline: (size: Size) => Promise<PipelineLane>,
  ) {}

  /** Does something with the pipeline of a size, which stays open meanwhile. */
  async use<T>(size: Size, work: (lane: PipelineLane) => Promise<T>): Promise<T> {
    if (this.#disposed) throw disposed();
    const key = `${size.height}x${size.width}`;
    const entry = this.#entries.get(key) ?? this.#enter(key, size);
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    entry.users++;
    try {
      return await work(await entry.lane);
    } finally {
      if (--entry.users === 0) entry.idle();
    }
  }

  /** The pipelines that are open. */
  get open(): PipelineLane[] {
    return [...this.#entries.values()].flatMap(({ open }) => open ?? []);
  }

  /** Calls under way fail; resolves when all memory is free. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const entries = [...this.#entries.values()];
    this.#entries.clear();
    await Promise.all(
      entries.map(async ({ lane }) => {
        const open = await lane.catch(() => undefined);
        await open?.dispose();
      }),
    );
    // One that makes room for another may still be ending.
    await this.#opening.onIdle();
  }

  #enter(key: string, size: Size): Entry {
    const lane = this.#opening.add(() => this.#openInTurn(size));
    const entry: Entry = { lane, open: undefined, users: 0, idle: () => undefined };
    this.#entries.set(key, entry);
    lane.then(
      (open) => {
        entry.open = open;
      },
      // What was missing may be there the next time.
      () => {
        if (this.#entries.get(key) === entry) this.#entries.delete(key);
      },
    );
    return entry;
  }

  async #openInTurn(size: Size): Promise<PipelineLane> {
    while (this.open.length >= this.capacity) await this.#endOldest();
    for (;;) {
      if (this.#disposed) throw disposed();
      try {
        return await this.openPipeline(size);
      } catch (error) {
        const full = error instanceof RvosError && error.code === 'OUT_OF_MEMORY';
        if (!full || !(await this.#endOldest())) throw error;
      }
    }
  }

  /** Ends the open pipeline that was used least recently, once its calls are done; false if there is none. */
  async #endOldest(): Promise<boolean> {
    const oldest = [...this.#entries].find(([, { open }]) => open);
    if (!oldest) return false;
    const [key, entry] = oldest;
    this.#entries.delete(key);
    if (entry.users > 0) {
      await new Promise<void>((resolve) => {
        entry.idle = resolve;
      });
    }
    await entry.open!.dispose();
    return true;
  }
}

function disposed(): RvosError {
  return new RvosError('BACKEND_FAILED', 'the segmenter was disposed', 'Open a new one.');
}
