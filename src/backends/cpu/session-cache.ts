import type { Runtime, Session } from './runtime.js';

/** Sessions by graph file; the least recently used one makes room. Runs in the child process. */
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

  async open(graph: string): Promise<Session> {
    let session = this.#sessions.get(graph);
    if (session) {
      this.#sessions.delete(graph);
    } else {
      while (this.#sessions.size >= this.capacity) await this.release(this.#sessions.keys().next().value as string);
      this.#created++;
      session = await this.runtime.open(graph);
    }
    this.#sessions.set(graph, session);
    return session;
  }

  async release(graph: string): Promise<void> {
    const session = this.#sessions.get(graph);
    if (!session) return;
    this.#sessions.delete(graph);
    await session.release();
  }
}
