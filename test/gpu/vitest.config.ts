import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

/** A bundle for a machine without network brings dist/, and no compiler for it. */
const hasCompiler = existsSync(join(import.meta.dirname, '../../node_modules/typescript'));

/** Tests that need an NVIDIA GPU and TensorRT, run by `npm run test:gpu` and by nothing else. */
export default defineConfig({
  test: {
    root: join(import.meta.dirname, '../..'),
    include: ['test/gpu/**/*.gpu.ts'],
    globalSetup: [...(hasCompiler ? ['test/support/build-dist.ts'] : []), 'test/gpu/build-engines.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
    pool: 'forks',
    // For the tests of memory.
    execArgv: ['--expose-gc'],
    // They measure memory of the one GPU: one file at a time.
    fileParallelism: false,
  },
});
