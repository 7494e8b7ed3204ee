import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';
import { tellFigures } from '../support/full-figures.js';
import { goldenPath } from '../support/safetensors.js';

/** `npm test` installs the packages by path with one npm (scripts/test-package.mjs). */
it('the packages install and run with npm 10 to 12, pnpm 9 and 10, yarn 1 and 4, for bundlers, old compilers and strangers', () => {
  const script = goldenPath('../../scripts/package-tests/full.mjs');
  const { stdout } = spawnSync(process.execPath, [script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = stdout.split('\n').map((line) => line.trim());
  tellFigures('packages', { checks: lines.filter((line) => /✓|✗|after the installation/.test(line)) });
  expect(lines.filter((line) => line.includes('✗'))).toEqual([]);
  expect(lines.filter((line) => line.includes('✓')).length).toBeGreaterThan(30);
});
