#!/usr/bin/env node
// Sets up, then runs every check that needs no GPU: types, lint, the native addons, the tests in test/, those of
// training/, the packed package and the tidiness of the tree. The last line is "N passed, N failed"; a skipped test is a failed one.
//
//   node scripts/test.mjs [--yes]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { checkKernels } from './check-kernels.mjs';
import { changedFiles, checkTree } from './check-tree.mjs';
import { exitWith, root, SetupError } from './run.mjs';
import { setup } from './setup.mjs';
import { installTools, missingTestTools } from './system-tools.mjs';
import { trainingPython } from './training-python.mjs';

const yes = process.argv.includes('--yes');
const scratch = mkdtempSync(join(tmpdir(), 'rvos-test-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));

const before = changedFiles();
try {
  setup({ yes });
} catch (error) {
  if (!(error instanceof SetupError)) exitWith(error);
  process.stderr.write(`${error.message}\n`);
  process.stdout.write('0 passed, 1 failed\n');
  process.exit(1);
}

const parts = [
  ['types', types],
  ['lint', lint],
  ['native', native],
  ['tests', vitest],
  ['training', training],
  ['documents', documents],
  ['package', packed],
  ['tree', () => checkTree(before)],
];
const results = [];
const environment = process.stdout.isTTY ? process.env : { ...process.env, NO_COLOR: '1', FORCE_COLOR: undefined };
for (const [name, part] of parts) {
  process.stdout.write(`── ${name}\n`);
  const started = performance.now();
  const result = part();
  const seconds = (performance.now() - started) / 1000;
  results.push(result);
  process.stdout.write(`   ${result.passed} passed, ${result.failed} failed in ${seconds.toFixed(0)} s\n`);
}
const sum = (key) => results.reduce((total, result) => total + result[key], 0);
const failed = sum('failed');
process.stdout.write(`${sum('passed')} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);

/** Runs a program of node_modules with its output shown. */
function shown(script, args) {
  const program = join(root, 'node_modules', script);
  return (
    spawnSync(process.execPath, [program, ...args], { cwd: root, stdio: ['ignore', 1, 2], env: environment }).status ===
    0
  );
}

function one(succeeded) {
  return succeeded ? { passed: 1, failed: 0 } : { passed: 0, failed: 1 };
}

function types() {
  return one(shown('typescript/bin/tsc', ['-p', 'tsconfig.json', '--noEmit']));
}

function lint() {
  return one(shown('@biomejs/biome/bin/biome', ['check', '--error-on-warnings', '.']));
}

/**
 * The addons that the tests use: TensorRT-RTX, with the kit where it is not installed, and the simulated device; compiled
 * against all sets of headers, the kernels for all GPUs.
 */
function native() {
  const options = ['--kit', '--flavors', 'tensorrt-rtx,simulated', '--check-headers', ...(yes ? ['--yes'] : [])];
  const run = spawnSync(process.execPath, [join(root, 'scripts', 'setup-native.mjs'), ...options], {
    cwd: root,
    stdio: ['ignore', 1, 1],
  });
  const { passed, failed } = checkKernels();
  return run.status === 0 ? { passed: passed + 1, failed } : { passed, failed: failed + 1 };
}

function vitest() {
  try {
    installTools(missingTestTools(), { yes });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stdout.write(`${error.message}\n`);
    return one(false);
  }
  const file = join(scratch, 'vitest.json');
  const ended = shown('vitest/vitest.mjs', [
    'run',
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${file}`,
  ]);
  let report;
  try {
    report = JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return one(false);
  }
  const tests = report.testResults.flatMap(({ assertionResults }) => assertionResults);
  const passed = tests.filter(({ status }) => status === 'passed').length;
  const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
  for (const { fullName } of skipped) process.stdout.write(`   skipped, counts as failed: ${fullName}\n`);
  // A file that cannot be loaded has no tests to count.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && !assertionResults.some((test) => test.status === 'failed'),
  );
  for (const { name } of broken) process.stdout.write(`   cannot be run: ${relative(root, name)}\n`);
  const failed = tests.length - passed + broken.length;
  // Errors outside of any test, such as an unhandled rejection, fail the run without failing a test.
  return { passed, failed: failed === 0 && !ended ? 1 : failed };
}

function training() {
  let python;
  try {
    python = trainingPython({ yes });
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    process.stdout.write(`${error.message}\n`);
    return one(false);
  }
  const run = spawnSync(python, ['-m', 'unittest', 'discover', '-s', 'tests', '-t', '.'], {
    cwd: join(root, 'training'),
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  const text = `${run.stdout ?? ''}${run.stderr ?? ''}`;
  const count = (word) => Number(new RegExp(`${word}=(\\d+)`).exec(text.slice(text.lastIndexOf('\nRan ')))?.[1] ?? 0);
  const ran = Number(/^Ran (\d+) tests?/m.exec(text)?.[1] ?? 0);
  const failed = count('failures') + count('errors') + count('skipped') + count('unexpected successes');
  if (run.status !== 0 || failed > 0) process.stdout.write(text);
  if (ran === 0 || (run.status !== 0 && failed === 0)) return { passed: 0, failed: Math.max(1, failed) };
  return { passed: Math.max(0, ran - failed), failed };
}

/** Documents that scripts make are those that the scripts would make now. */
function documents() {
  const current = ['licences.mjs', 'cli-docs.mjs'].filter((script) => {
    const args = [join(root, 'scripts', script), '--check'];
    return spawnSync(process.execPath, args, { stdio: ['ignore', 1, 1] }).status === 0;
  });
  return { passed: current.length, failed: 2 - current.length };
}

function packed() {
  const run = spawnSync(process.execPath, [join(root, 'scripts', 'test-package.mjs')], { cwd: root, encoding: 'utf8' });
  process.stdout.write(`${run.stdout.replace(/^\d+ passed.*\n/m, '')}${run.stderr}`);
  const [, passed = 0, failed = 0] = (/^(\d+) passed, (\d+) failed$/m.exec(run.stdout) ?? []).map(Number);
  return { passed, failed: failed === 0 && run.status !== 0 ? 1 : failed };
}
