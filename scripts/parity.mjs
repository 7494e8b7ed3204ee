#!/usr/bin/env node
// Writes docs/parity.md: what the tests measured against the original network's values, the worst of all cases.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from './run.mjs';

const folder = mkdtempSync(join(tmpdir(), 'rvos-parity-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
const file = join(folder, 'figures.jsonl');
const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
const tests = ['test/model/stages', 'test/e2e.test.ts', 'test/native', 'test/text'];
const run = spawnSync(process.execPath, [vitest, 'run', ...tests], {
  cwd: root,
  stdio: ['ignore', 2, 2],
  env: { ...process.env, RVOS_FIGURES: file },
});
if (run.status !== 0) {
  process.stderr.write('Not every test passed; docs/parity.md is unchanged.\n');
  process.exit(1);
}

const rows = new Map();
for (const line of readFileSync(file, 'utf8').split('\n').filter(Boolean)) {
  const { what, where, value } = JSON.parse(line);
  const row = rows.get(what) ?? { count: 0, value, where };
  // Of an overlap the least is the worst, of all else the greatest.
  const worse = / IoU$/.test(what) ? value < row.value : value > row.value;
  rows.set(what, { count: row.count + 1, ...(worse ? { value, where } : { value: row.value, where: row.where }) });
}
const body = [...rows]
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(([what, { count, value, where }]) => `| ${what} | ${number(value)} | ${where} | ${count} |`);
writeFileSync(
  join(root, 'docs', 'parity.md'),
  `# Parity with the original network

Made by \`npm run docs:parity\`. The tests in \`test/\` compare rvos with values that the original implementation computed on small
networks with random weights (\`test/goldens/\`), and graphs in other forms and precisions with the exact FP32 ones. The bounds
that must hold stand in those tests; this is what was measured.

| what | worst | where | cases |
|---|---|---|---|
${body.join('\n')}
`,
);

function number(value) {
  if (Number.isInteger(value)) return String(value);
  // An overlap of 0.9996 must not read as 1.
  return value > 0.9 ? String(Math.floor(value * 1e5) / 1e5) : value.toPrecision(2);
}
