#!/usr/bin/env node
// `npm run test:gpu`: what can be tested on a GPU alone (docs/gpu.md). Builds engines of the golden and the compact model
// for the GPU that is present (build/test-gpu), runs the kernels' self-test, test/gpu/*.gpu.ts, then the kernels of whole
// windows under compute-sanitizer's memcheck and racecheck, if it is there. Without a GPU or TensorRT it says so and fails.
//
//   node scripts/test-gpu.mjs [--no-sanitizer] [--no-kernels]
//
// --no-kernels: without the self-test, which npm run test:kernels runs by itself
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { computeSanitizer, foundByTool, kernelSelftest } from './kernel-selftest.mjs';
import { requireGpu } from './require-gpu.mjs';
import { exitWith, root } from './run.mjs';

/** Names of our kernels; TensorRT's own are not watched. */
const kernels = ['preprocessKernel', 'maskHeadKernel', 'wideMaskHeadKernel'];
const sanitize = !process.argv.includes('--no-sanitizer');

let device;
try {
  const requirements = await requireGpu('test:gpu');
  device = requirements.device;
  const { probe } = requirements;
  say(`${probe.flavor} ${probe.learnt.libraryVersion}, ${device.name}, driver for CUDA ${device.driverCudaVersion}`);
} catch (error) {
  exitWith(error);
}
const selftest = process.argv.includes('--no-kernels') ? [] : [kernelSelftest({ device: device.index, sanitize, say })];
const results = [...selftest, tests(), ...(sanitize ? sanitized() : [])];
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
process.stdout.write(`${sum('passed')} passed, ${sum('failed')} failed\n`);
process.exit(sum('failed') === 0 ? 0 : 1);

function say(line) {
  process.stdout.write(`test:gpu: ${line}\n`);
}

function tests() {
  const report = join(root, 'build', 'test-gpu.json');
  rmSync(report, { force: true });
  const vitest = join(root, 'node_modules/vitest/vitest.mjs');
  const args = ['run', '--config', 'test/gpu/vitest.config.ts', '--reporter=default', '--reporter=json'];
  const run = spawnSync(process.execPath, [vitest, ...args, `--outputFile.json=${report}`], {
    cwd: root,
    stdio: ['ignore', 1, 2],
  });
  if (!existsSync(report)) return { passed: 0, failed: 1 };
  const { numPassedTests: passed, numTotalTests: total } = JSON.parse(readFileSync(report, 'utf8'));
  // A skipped test is a failed one; so is a failure outside of any test.
  const failed = total - passed;
  return { passed, failed: failed === 0 && run.status !== 0 ? 1 : failed };
}

function sanitized() {
  const program = computeSanitizer();
  if (!program) {
    say('compute-sanitizer was not found (PATH, CUDA_HOME, COMPUTE_SANITIZER): the kernels were not run under it');
    return [];
  }
  return ['memcheck', 'racecheck'].map((tool) => {
    say(`${tool} of ${kernels.join(', ')} …`);
    const only = kernels.map((name) => `--kernel-regex=kns=${name}`);
    const args = [`--tool=${tool}`, `--error-exitcode=${foundByTool}`, '--target-processes=application-only', ...only];
    const { status } = spawnSync(program, [...args, process.execPath, join(root, 'test/gpu/sanitized.mjs')], {
      cwd: root,
      stdio: ['ignore', 1, 2],
    });
    say(
      `${tool}: ${status === 0 ? 'clean' : status === foundByTool ? 'errors found' : `did not run (exit code ${status})`}`,
    );
    return status === 0 ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
  });
}
