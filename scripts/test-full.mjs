#!/usr/bin/env node
// `npm run test:full`: the long forms of what `npm test` proves in a small one, test/**/*.full.ts. The outcome of a run of
// all of them, with date and processor, is kept in bench/results/test-full.json.
//
//   node scripts/test-full.mjs [file…]     only these files; their outcomes replace those kept
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { root } from './run.mjs';

const scratch = mkdtempSync(join(tmpdir(), 'rvos-full-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
const report = join(scratch, 'vitest.json');
const figuresFile = join(scratch, 'figures.ndjson');
const kept = join(root, 'bench/results/test-full.json');

const vitest = join(root, 'node_modules/vitest/vitest.mjs');
const args = ['run', '--config', 'test/full/vitest.config.ts', '--reporter=default', '--reporter=json'];
const run = spawnSync(process.execPath, [vitest, ...args, `--outputFile.json=${report}`, ...process.argv.slice(2)], {
  cwd: root,
  stdio: ['ignore', 1, 2],
  env: { ...process.env, RVOS_FULL_FIGURES: figuresFile },
});
if (!existsSync(report)) {
  process.stdout.write('0 passed, 1 failed\n');
  process.exit(1);
}
const { testResults } = JSON.parse(readFileSync(report, 'utf8'));
const lines = existsSync(figuresFile) ? readFileSync(figuresFile, 'utf8').trim().split('\n') : [];
const told = lines.map((line) => JSON.parse(line));
const about = {
  date: new Date().toISOString().slice(0, 10),
  processor: cpus()[0]?.model.trim() ?? 'unknown',
  cores: availableParallelism(),
  node: process.versions.node,
};
const outcome = existsSync(kept) ? JSON.parse(readFileSync(kept, 'utf8')) : {};
for (const { name, assertionResults } of testResults) {
  const tests = assertionResults.map(({ title, status, duration }) => {
    return { title, status, seconds: Math.round((duration ?? 0) / 1000) };
  });
  const own = told.filter(({ file }) => file === name).map(({ name, figures }) => [name, figures]);
  outcome[relative(root, name)] = { ...about, tests, ...(own.length > 0 && { figures: Object.fromEntries(own) }) };
}
writeFileSync(kept, `${JSON.stringify(outcome, null, 2)}\n`);
const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
const passed = tests.filter(({ status }) => status === 'passed').length;
// A skipped test is a failed one; so is a failure outside of any test.
const failed = tests.length - passed + (passed === tests.length && run.status !== 0 ? 1 : 0);
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);
