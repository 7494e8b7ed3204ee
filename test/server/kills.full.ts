import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tellFigures } from '../support/full-figures.js';
import { killServerWhileItWorks } from '../support/killed-server.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-kills-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it('1,000 jobs and 50 kills: each ends once, none is lost, results are those of rvos segment', async () => {
  const onProgress = (line: string) => process.stderr.write(`${line}\n`);
  const report = await killServerWhileItWorks({ folder, jobs: 1000, kills: 50, seed: 14, onProgress });
  tellFigures('server, 1,000 jobs and 50 kills', { ...report, wrong: report.wrong.length });
  expect(report.wrong).toEqual([]);
  expect(report).toMatchObject({ kills: 50, accepted: 1000 });
});
