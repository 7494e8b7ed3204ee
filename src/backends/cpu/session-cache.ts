import type { OpenOptions, Runtime, Session } from './runtime.js';

/** Sessions by graph file and the sizes it was opened with; the least recently used one makes room. Runs in the child process. */
export class SessionCache {
  /** Oldest use first. */
  readonly #sessions = new Map<string, Session>();
  #created = 0;

  constructor(
    private readonly capacity: number,
    private readonly runtime: Runtime,
  ) {}

  /** Sessions made so far, released ones included. */
  get created(): number {
    return this.#created;
  }

  /** Whether the graph is open, with no sizes given. */
  has(graph: string): boolean {
    return this.#sessions.has(keyOf(graph));
  }

  async open(graph: string, options: OpenOptions = {}): Promise<Session> {
    const key = keyOf(graph, options);
    let session = this.#sessions.get(key);
    if (session) {
      this.#sessions.delete(key);
    } else {
      while (this.#sessions.size >= this.capacity) await this.#release(this.#sessions.keys().next().value as string);
      this.#created++;
      session = await this.runtime.open(graph, options);
    }
    this.#sessions.set(key, session);
    return session;
  }

  /** Whatever sizes it was opened with. */
  async release(graph: string): Promise<void> {
    for (const key of [...this.#sessions.keys()]) if (key.startsWith(keyOf(graph))) await this.#release(key);
  }

  async #release(key: string): Promise<void> {
    const session = this.#sessions.get(key);
    if (!session) return;
    this.#sessions.delete(key);
    await session.release();
  }
}

function keyOf(graph: string, { shapes }: OpenOptions = {}): string {
  return `${graph}\0${shapes ? JSON.stringify(shapes) : ''}`;
}
