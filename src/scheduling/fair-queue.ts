import { type Priority, priorityWeights } from './priority.js';

/** What the queue must know of an item. */
export interface Queued {
  /** Items of one request keep their order. */
  readonly request: unknown;
  readonly priority: Priority;
  /** Items may be taken together where this is equal. */
  readonly form: string;
}

/** A request's place in the turn. */
interface Turn<Item> {
  /** The request with the smallest is next. Grows by 1 / weight with each item taken. */
  pass: number;
  /** Number of the taking that was its last one; −1 for a newcomer. Of two whose turn it is, the smaller is next. */
  last: number;
  readonly waiting: Item[];
}

/** Requests that wait for nothing and whose place in the turn is still known. */
const rememberedRequests = 1024;
/** A newcomer's first item costs the turn this much of an item: of two newcomers and one old request each gets a third. */
const newcomerShare = 0.5;

/**
 * Items of many requests, fairly: round-robin, a request of twice the weight twice as often (stride scheduling, Waldspurger
 * 1995). A request's first item goes before the next ones of those under way, so that a short request is not kept waiting by
 * however many long ones. One that was away for a while comes back in turn: turns that it did not use are not made up for.
 */
export class FairQueue<Item extends Queued> {
  /** Least recently used first. */
  readonly #turns = new Map<unknown, Turn<Item>>();
  /** `pass` of the turn as a whole. */
  #now = 0;
  #takings = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(item: Item): void {
    const turn = this.#turnOf(item.request);
    if (turn.waiting.length === 0) turn.pass = Math.max(turn.pass, this.#now);
    turn.waiting.push(item);
    this.#size++;
  }

  /** An item that was taken goes back to the front of its request's, at no cost to it. */
  putBack(item: Item): void {
    const turn = this.#turns.get(item.request) ?? this.#turnOf(item.request);
    turn.pass -= 1 / priorityWeights[item.priority];
    turn.last = -1;
    turn.waiting.unshift(item);
    this.#size++;
  }

  /** The item whose turn it is, and up to `count` in all of its form, in turn. Empty if nothing waits. */
  take(count: number): Item[] {
    const taken: Item[] = [];
    while (taken.length < count) {
      const turn = this.#next(taken[0]?.form);
      if (!turn) break;
      taken.push(this.#takeFrom(turn));
    }
    return taken;
  }

  /** How many could be taken now, up to `count`. */
  ready(count: number): number {
    const next = this.#next();
    if (!next) return 0;
    const { form } = next.waiting[0]!;
    let ready = 0;
    for (const { waiting } of this.#turns.values()) {
      for (let i = 0; i < waiting.length && waiting[i]!.form === form && ready < count; i++) ready++;
    }
    return ready;
  }

  /** False if it is not here. */
  remove(item: Item): boolean {
    const waiting = this.#turns.get(item.request)?.waiting;
    const place = waiting?.indexOf(item) ?? -1;
    if (place < 0) return false;
    waiting!.splice(place, 1);
    this.#size--;
    return true;
  }

  /** All that wait, in no order; the queue is empty from then on. */
  clear(): Item[] {
    const items = [...this.#turns.values()].flatMap(({ waiting }) => waiting);
    this.#turns.clear();
    this.#size = 0;
    return items;
  }

  /** The request whose turn it is; with `form`, of those whose next item has it. */
  #next(form?: string): Turn<Item> | undefined {
    let next: Turn<Item> | undefined;
    for (const turn of this.#turns.values()) {
      const [first] = turn.waiting;
      if (!first || (form !== undefined && first.form !== form)) continue;
      if (!next || turn.pass < next.pass || (turn.pass === next.pass && turn.last < next.last)) next = turn;
    }
    return next;
  }

  #takeFrom(turn: Turn<Item>): Item {
    const item = turn.waiting.shift()!;
    const cost = 1 / priorityWeights[item.priority];
    this.#size--;
    this.#now = Math.max(this.#now, turn.pass) + (turn.last < 0 ? newcomerShare * cost : 0);
    turn.pass += cost;
    turn.last = this.#takings++;
    return item;
  }

  #turnOf(request: unknown): Turn<Item> {
    const turn = this.#turns.get(request) ?? { pass: this.#now, last: -1, waiting: [] };
    this.#turns.delete(request);
    this.#turns.set(request, turn);
    if (this.#turns.size > rememberedRequests) {
      for (const [other, { waiting }] of this.#turns) {
        if (waiting.length > 0) continue;
        if (other !== request) this.#turns.delete(other);
        if (this.#turns.size <= rememberedRequests) break;
      }
    }
    return turn;
  }
}
