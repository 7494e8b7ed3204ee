// The kernels by the program that needs a driver and nothing else (native/selftest), alone and under compute-sanitizer.
import { join } from 'node:path';
import { Found, Skipped } from '../run-step.mjs';
import { sanitizer, selftest } from './programs.mjs';

/** Exit code of compute-sanitizer when it has found something. */
const foundByTool = 86;

export async function kernels(context) {
  const { exec, simulated, device, out } = context;
  const program = selftest(context, 'kernel-selftest');
  const args = ['--device', String(simulated ? 0 : device), ...(simulated ? ['--short'] : [])];
  const { status, stdout } = await exec(program, args, { lines: join(out, 'kernels.jsonl') });
  return summary(status, stdout);
}

export async function sanitizedKernels(context) {
  const { exec, simulated, device, out } = context;
  if (simulated) throw new Skipped('the simulated device has no kernels that compute-sanitizer could watch');
  const tool = sanitizer();
  if (!tool) throw new Skipped('compute-sanitizer was not found (PATH, CUDA_HOME, COMPUTE_SANITIZER)');
  const program = selftest(context, 'kernel-selftest');
  const results = {};
  for (const name of ['memcheck', 'racecheck', 'initcheck', 'synccheck']) {
    // Without guards, so that memcheck sees the very first byte beyond a target.
    const args = [program, '--device', String(device), '--short', '--guard', '0', '--runs', '0'];
    const { status } = await exec(tool, [
      `--tool=${name}`,
      `--error-exitcode=${foundByTool}`,
      `--log-file=${join(out, `${name}.txt`)}`,
      ...args,
    ]);
    results[name] = status === 0 ? 'clean' : status === foundByTool ? 'errors found' : `exit code ${status}`;
  }
  if (Object.values(results).some((result) => result !== 'clean'))
    throw new Found('not clean: the .txt files say where', results);
  return results;
}

/** Counts of a self-test's lines, with those that failed. Throws Found. */
export function summary(status, stdout) {
  const lines = stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));
  const failures = lines.filter(({ state }) => state === 'failed');
  const facts = {
    cases: lines.filter(({ state }) => state === 'passed' || state === 'failed').length,
    failures: failures.slice(0, 5),
  };
  if (status !== 0 || failures.length > 0)
    throw new Found(failures.length > 0 ? `${failures.length} cases differ` : `exit code ${status}`, facts);
  return { cases: facts.cases };
}
