import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Proofs that take many minutes, run by `npm run test:full`; `npm test` holds a small form of each. */
export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['test/**/*.full.ts'],
    globalSetup: ['test/support/build-dist.ts'],
    testTimeout: 3_600_000,
    hookTimeout: 300_000,
    // One after another: each fills the machine.
    maxWorkers: 1,
    pool: 'forks',
  },
});
