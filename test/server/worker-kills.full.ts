import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killServerWhileItWorks } from '../support/killed-server.js';
import { TestRedis } from '../support/redis-server.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-worker-kills-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('of two workers one is killed again and again: each job ends once, with the results of rvos segment', async () => {
  await using redis = await TestRedis.start();
  const report = await killServerWhileItWorks({ folder, jobs: 200, kills: 10, seed: 5, redis: redis.url });
  expect(report.wrong).toEqual([]);
  expect(report).toMatchObject({ kills: 10, accepted: 200 });
});
