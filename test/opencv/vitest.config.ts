import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** Tests that need OpenCV, run by `npm run test:opencv` and by nothing else. */
export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['test/opencv/**/*.opencv.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: 'forks',
  },
});
