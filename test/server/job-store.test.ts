import { mkdtemp, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Job, JobStore } from '../../src/server/index.js';
import { LmdbJobStore } from '../../src/server/index.js';
import { loadBullMq } from '../../src/server/redis/load-bullmq.js';
import { RedisJobStore } from '../../src/server/redis/redis-job-store.js';
import { TestRedis } from '../support/redis-server.js';
import { rvosError } from '../support/videos.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-store-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const job = (id: string, changes: Partial<Job> = {}): Job => ({
  ...{ id, owner: 'me', state: 'queued', created: 1, sentences: ['a'], options: {}, outputs: [], input: 'x' },
  ...changes,
});

async function listed(store: JobStore): Promise<string[]> {
  const ids: string[] = [];
  for await (const { id } of store.all()) ids.push(id);
  return ids;
}

describe.each(['LMDB', 'Redis'])('the store of jobs in %s', (kind) => {
  let redis: TestRedis | undefined;
  beforeEach(async () => {
    if (kind === 'Redis') redis = await TestRedis.start();
  });
  afterEach(() => redis?.[Symbol.asyncDispose]());
  const open = async (): Promise<JobStore> =>
    redis ? new RedisJobStore((await loadBullMq(redis.url)).prompt(), 'queue', redis.url) : LmdbJobStore.open(folder);

  it('has after it was opened again what it had before', async () => {
    {
      await using store = await open();
      await store.add(job('1'));
      await store.add(job('2'));
      await store.change('2', ['queued'], { state: 'running', started: 5 });
      await store.remove('1');
    }
    await using store = await open();
    expect(await listed(store)).toEqual(['2']);
    expect(await store.get('2')).toEqual(job('2', { state: 'running', started: 5 }));
  });

  it('lets a job end once', async () => {
    await using store = await open();
    await store.add(job('1', { state: 'running' }));
    const ends = (['done', 'failed', 'cancelled'] as const).map((state) => store.change('1', ['running'], { state }));
    const changed = (await Promise.all(ends)).filter(Boolean);
    expect(changed).toHaveLength(1);
    expect((await store.get('1'))!.state).toBe(changed[0]!.state);
  });

  it('keeps an idempotency key as long as its job, for its owner alone', async () => {
    await using store = await open();
    const idempotency = { key: 'k', digest: 'd' };
    const added = await Promise.all([store.add(job('1', { idempotency })), store.add(job('2', { idempotency }))]);
    expect(added.map((each) => [each.job.id, each.added])).toEqual([
      ['1', true],
      ['1', false],
    ]);
    expect((await store.add(job('3', { idempotency, owner: 'you' }))).added).toBe(true);
    await store.remove('1');
    expect((await store.add(job('4', { idempotency }))).added).toBe(true);
  });

  it('lists pages of one owner, latest first', async () => {
    await using store = await open();
    for (const id of ['1', '2', '3', '4']) await store.add(job(id, { owner: id === '3' ? 'you' : 'me' }));
    const first = await store.list('me', { limit: 2 });
    expect(first.map(({ id }) => id)).toEqual(['4', '2']);
    expect((await store.list('me', { before: '2', limit: 2 })).map(({ id }) => id)).toEqual(['1']);
    expect(await store.list('m', { limit: 9 })).toEqual([]);
  });
});

describe('the store of jobs in a folder', () => {
  it('that is damaged is a clear error, whatever the damage would do to a process that maps it', async () => {
    const data = join(folder, 'data.mdb');
    const make = async () => {
      await rm(data, { force: true });
      await using store = await LmdbJobStore.open(folder);
      for (let i = 0; i < 200; i++) await store.add(job(String(i), { sentences: ['x'.repeat(500)] }));
    };
    const damages = [
      () => writeFile(data, 'no store'),
      async () => writeFile(data, Buffer.alloc((await stat(data)).size, 7)),
      async () => truncate(data, (await stat(data)).size / 2),
    ];
    for (const damage of damages) {
      await make();
      await damage();
      await expect(LmdbJobStore.open(folder)).rejects.toMatchObject(rvosError('BAD_STORE'));
    }
  });

  it('in a place that cannot be written is a clear error', async () => {
    await writeFile(join(folder, 'file'), '');
    await expect(LmdbJobStore.open(join(folder, 'file', 'store'))).rejects.toMatchObject(
      rvosError('OUTPUT_NOT_WRITABLE'),
    );
  });
});
