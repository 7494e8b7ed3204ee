import { setTimeout as sleep } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { OneAtATime } from '../../src/scheduling/one-at-a-time.js';
import { type WindowCall, type WindowLane, WindowScheduler } from '../../src/scheduling/window-scheduler.js';

const code = (name: string) => expect.objectContaining({ code: name });
const microtasks = () => new Promise((resolve) => setImmediate(resolve));

/** Batches end when the test says so; a job's result is its own name. */
class TestLane implements WindowLane<string, string> {
  readonly started: string[][] = [];
  readonly #ends: ((again?: string[], error?: Error) => void)[] = [];

  constructor(
    readonly batches: number,
    readonly windows: number,
  ) {}

  form(job: string): string {
    return job[0]!;
  }

  start(calls: readonly WindowCall<string, string>[]) {
    const number = this.started.push(calls.map(({ job }) => job)) - 1;
    const done = new Promise<readonly WindowCall<string, string>[]>((resolve, reject) => {
      this.#ends[number] = (again = [], error) => {
        if (error) return reject(error);
        for (const call of calls) if (!again.includes(call.job)) call.resolve(call.job);
        resolve(calls.filter(({ job }) => again.includes(job)));
      };
    });
    return { done, abort: (call: WindowCall<string, string>) => call.reject(new Error(`${call.job} was given up`)) };
  }

  async end(number: number, again?: string[], error?: Error): Promise<void> {
    this.#ends[number]!(again, error);
    await microtasks();
  }
}

it('a window starts at once where the lane is idle; those asked for together share a batch', async () => {
  const lane = new TestLane(2, 2);
  const scheduler = new WindowScheduler(lane);
  const results = ['a1', 'a2', 'b1'].map((job, i) => scheduler.run(job, { request: i }));
  await microtasks();
  expect(lane.started[0]).toEqual(['a1', 'a2']);
  await sleep(20);
  expect(lane.started).toEqual([['a1', 'a2'], ['b1']]);
  await lane.end(0);
  await lane.end(1);
  expect(await Promise.all(results)).toEqual(['a1', 'a2', 'b1']);
});

it('a batch that is not full waits for more within the latency budget, only while another one runs', async () => {
  const lane = new TestLane(2, 2);
  const scheduler = new WindowScheduler(lane, { latencyBudget: 0.2 });
  const run = (job: string) => void scheduler.run(job, { request: job });
  run('a1');
  await microtasks();
  run('a2');
  await microtasks();
  expect(lane.started).toEqual([['a1']]);
  run('a3');
  await microtasks();
  expect(lane.started).toEqual([['a1'], ['a2', 'a3']]);
  await lane.end(0);
  run('a4');
  const asked = performance.now();
  while (lane.started.length < 3) await sleep(10);
  expect(performance.now() - asked).toBeGreaterThan(150);
  run('a5');
  await lane.end(1);
  await lane.end(2);
  expect(lane.started.slice(2)).toEqual([['a4'], ['a5']]);
});

it('no request starves another', async () => {
  const lane = new TestLane(1, 1);
  const scheduler = new WindowScheduler(lane);
  for (let i = 0; i < 20; i++) void scheduler.run(`long${i}`, { request: 'long' });
  await microtasks();
  await lane.end(0);
  void scheduler.run('lshort', { request: 'short' });
  await microtasks();
  await lane.end(1);
  expect(lane.started.flat()).toEqual(['long0', 'long1', 'lshort']);
});

it('calls that must run once more go first', async () => {
  const lane = new TestLane(1, 2);
  const scheduler = new WindowScheduler(lane);
  const results = ['a1', 'a2', 'a3'].map((job) => scheduler.run(job, { request: 'r' }));
  await microtasks();
  await lane.end(0, ['a1', 'a2']);
  await lane.end(1);
  await lane.end(2);
  expect(lane.started).toEqual([['a1', 'a2'], ['a1', 'a2'], ['a3']]);
  expect(await Promise.all(results)).toEqual(['a1', 'a2', 'a3']);
});

it('an abort ends a call that waits at once; one that runs is ended by its lane', async () => {
  const lane = new TestLane(1, 1);
  const scheduler = new WindowScheduler(lane);
  const controllers = [new AbortController(), new AbortController()];
  const calls = controllers.map(({ signal }, i) =>
    scheduler.run(`a${i}`, { request: 'r', signal }).catch((error: unknown) => error),
  );
  await microtasks();
  controllers[1]!.abort();
  expect(await calls[1]).toEqual(code('ABORTED'));
  controllers[0]!.abort();
  expect(await calls[0]).toEqual(new Error('a0 was given up'));
  await lane.end(0);
  expect(lane.started).toEqual([['a0']]);
  expect(scheduler.waiting).toBe(0);
  await expect(scheduler.run('a2', { request: 'r', signal: AbortSignal.abort() })).rejects.toEqual(code('ABORTED'));
});

it('an error of the lane is told to the calls of its batch alone, and the next ones run', async () => {
  const lane = new TestLane(1, 2);
  const scheduler = new WindowScheduler(lane);
  const calls = ['a1', 'a2', 'a3'].map((job) => scheduler.run(job, { request: job }).catch((error: unknown) => error));
  await microtasks();
  const failure = new Error('the device failed');
  await lane.end(0, [], failure);
  await lane.end(1);
  expect(await Promise.all(calls)).toEqual([failure, failure, 'a3']);
});

it('when it is closed, calls under way and later ones fail', async () => {
  const lane = new TestLane(1, 1);
  const scheduler = new WindowScheduler(lane);
  const calls = ['a1', 'a2'].map((job) => scheduler.run(job, { request: job }).catch((error: unknown) => error));
  await microtasks();
  const ended = new Error('it was ended');
  scheduler.close(ended);
  expect(await Promise.all(calls)).toEqual([ended, ended]);
  await expect(scheduler.run('a3', { request: 'r' })).rejects.toBe(ended);
  await lane.end(0);
  expect(lane.started).toEqual([['a1']]);
});

it('one at a time: the next job starts when the last one has ended, also when that failed', async () => {
  const turns = new OneAtATime();
  const log: string[] = [];
  const job = (name: string, error?: Error) => async () => {
    log.push(`${name} begins`);
    await sleep(5);
    log.push(`${name} ends`);
    if (error) throw error;
    return name;
  };
  const failure = new Error('b failed');
  const results = await Promise.allSettled([
    turns.run(job('a'), { request: 1 }),
    turns.run(job('b', failure), { request: 2 }),
    turns.run(job('c'), { request: 3 }),
  ]);
  expect(results).toEqual([
    { status: 'fulfilled', value: 'a' },
    { status: 'rejected', reason: failure },
    { status: 'fulfilled', value: 'c' },
  ]);
  expect(log).toEqual(['a begins', 'a ends', 'b begins', 'b ends', 'c begins', 'c ends']);
});
