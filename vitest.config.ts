import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: 'test/support/build-dist.ts',
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // Two cores are the smallest machine the suite must finish on in time.
    maxWorkers: 2,
    pool: 'forks',
  },
});
