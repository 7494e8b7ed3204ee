import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

/* Compiles every kernel again for seven GPUs, to hear what ptxas says of each. */

it('registers and spills of each kernel are within their budget', () => {
  const script = join(import.meta.dirname, '../../scripts/kernel-resources.mjs');
  const { stdout, status } = spawnSync(process.execPath, [script], { encoding: 'utf8' });
  expect(stdout).toBe('within the budget\n');
  expect(status).toBe(0);
});
