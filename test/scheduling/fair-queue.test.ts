import { expect, it } from 'vitest';
import { FairQueue } from '../../src/scheduling/fair-queue.js';
import type { Priority } from '../../src/scheduling/priority.js';

interface Window {
  readonly request: string;
  readonly priority: Priority;
  readonly form: string;
  readonly number: number;
}

/** `windows` windows of a request. */
function request(name: string, windows: number, priority: Priority = 'normal', form = ''): Window[] {
  return Array.from({ length: windows }, (_, number) => ({ request: name, priority, form, number }));
}

function queueOf(...requests: readonly Window[][]): FairQueue<Window> {
  const queue = new FairQueue<Window>();
  for (const window of requests.flat()) queue.add(window);
  return queue;
}

const taken = (queue: FairQueue<Window>, count: number) =>
  Array.from({ length: count }, () => queue.take(1)[0]?.request ?? '-').join('');

it('requests take turns, window by window, each in its own order', () => {
  const queue = queueOf(request('a', 4), request('b', 2), request('c', 4));
  expect(taken(queue, 11)).toBe('abcabcacac-');
  expect(queue.size).toBe(0);
  const alone = queueOf(request('a', 3));
  expect(alone.take(3).map(({ number }) => number)).toEqual([0, 1, 2]);
});

it('a newcomer goes next, however much others have waiting', () => {
  const queue = queueOf(request('a', 50), request('b', 50));
  taken(queue, 20);
  for (const window of request('n', 2)) queue.add(window);
  expect(taken(queue, 1)).toBe('n');
  expect(taken(queue, 3)).toContain('n');
});

it('a stream of newcomers leaves the old request its share', () => {
  const queue = queueOf(request('o', 100));
  taken(queue, 5);
  let newcomers = 0;
  let order = '';
  for (let i = 0; i < 60; i++) {
    const waiting = queue.size - (95 - (order.split('o').length - 1));
    for (let n = waiting; n < 2; n++) queue.add(request(`n${newcomers++}`, 1)[0]!);
    order += queue.take(1)[0]!.request[0];
  }
  expect(order.split('o').length - 1).toBeGreaterThanOrEqual(18);
});

it('weights by priority: 16 to 4 to 1', () => {
  const queue = queueOf(request('h', 400, 'high'), request('n', 400), request('l', 400, 'low'));
  const order = taken(queue, 210);
  const count = (name: string) => order.split(name).length - 1;
  expect(count('h')).toBeGreaterThan(155);
  expect(count('n')).toBeGreaterThan(38);
  expect(count('l')).toBeGreaterThanOrEqual(9);
});

it('turns that were not used are not made up for', () => {
  const queue = queueOf(request('a', 1), request('b', 40));
  taken(queue, 31);
  for (const window of request('a', 10)) queue.add(window);
  expect(taken(queue, 8)).toMatch(/^(ab){4}$|^(ba){4}$/);
});

it('only windows of one form are taken together, and none overtakes another of its request', () => {
  const queue = queueOf(
    [...request('a', 2, 'normal', 'long'), ...request('a', 1, 'normal', 'short')],
    request('b', 1, 'normal', 'short'),
    request('c', 1, 'normal', 'long'),
  );
  expect(queue.ready(8)).toBe(3);
  expect(queue.take(8).map(({ request }) => request)).toEqual(['a', 'c', 'a']);
  expect(queue.take(8).map(({ request }) => request)).toEqual(['b', 'a']);
});

it('a window put back goes first again', () => {
  const queue = queueOf(request('a', 3), request('b', 3));
  const [first] = queue.take(1);
  queue.putBack(first!);
  expect(queue.take(1)).toEqual([first]);
});

it('what is removed or cleared is gone', () => {
  const windows = request('a', 3);
  const queue = queueOf(windows);
  expect(queue.remove(windows[1]!)).toBe(true);
  expect(queue.remove(windows[1]!)).toBe(false);
  expect(queue.take(3)).toEqual([windows[0], windows[2]]);
  queue.add(windows[1]!);
  expect(queue.clear()).toEqual([windows[1]]);
  expect(queue.take(1)).toEqual([]);
});

it('remembers no end of requests', () => {
  const queue = new FairQueue<Window>();
  for (let i = 0; i < 5000; i++) {
    queue.add(request(`r${i}`, 1)[0]!);
    expect(queue.take(1)).toHaveLength(1);
  }
  queue.add(request('last', 1)[0]!);
  expect(queue.ready(1)).toBe(1);
});
