import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { killServerWhileItWorks } from '../support/killed-server.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-kills-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('a server that is killed again and again ends each job once, with the results of rvos segment', async () => {
  const report = await killServerWhileItWorks({ folder, jobs: 30, kills: 3, seed: 3 });
  expect(report.wrong).toEqual([]);
  expect(report).toMatchObject({ kills: 3, accepted: 30 });
});
