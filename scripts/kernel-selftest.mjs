#!/usr/bin/env node
// `npm run test:kernels`: the kernels against their CPU twins on the GPU that is present, and the window pipeline with plain
// stages, by two programs that need a driver and nothing else (native/selftest), then the kernels' small cases under each tool
// of compute-sanitizer, if that is there. Results are on standard output, one JSON object a line; what is said for people is
// on standard error.
//
//   node scripts/kernel-selftest.mjs [--device 0] [--short] [--no-sanitizer] [--simulated]
//
// --simulated: on the simulated device, which runs the CPU twins: it tries the program, not the kernels
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { exitWith, root, SetupError, works } from './run.mjs';

/** Exit code of compute-sanitizer when it has found something. */
export const foundByTool = 86;

/** compute-sanitizer of COMPUTE_SANITIZER, PATH or the CUDA toolkit; undefined if it is nowhere. */
export function computeSanitizer() {
  return [
    process.env.COMPUTE_SANITIZER,
    'compute-sanitizer',
    ...[process.env.CUDA_HOME, '/usr/local/cuda'].filter(Boolean).map((home) => join(home, 'bin/compute-sanitizer')),
  ].find((candidate) => candidate && works(candidate));
}

/** Counts of runs that passed and failed: the program's own, and one under each tool. Throws SetupError without the program. */
export function kernelSelftest({ device = 0, quick = false, sanitize = true, simulated = false, say }) {
  const build = simulated ? 'cmake-simulated' : 'cmake-tensorrt';
  const [program, pipeline] = ['kernel-selftest', 'pipeline-selftest'].map((name) =>
    join(root, 'build', build, 'selftest', name),
  );
  if (!existsSync(program) || !existsSync(pipeline)) {
    const flavors = simulated ? ' -- --flavors simulated' : '';
    throw new SetupError(`the self-tests are not built. Run npm run setup:native${flavors} in a checkout on Linux.`);
  }
  const run = (command, args) => spawnSync(command, args, { cwd: root, stdio: ['ignore', 1, 2] }).status;
  const common = ['--device', String(device)];
  const statuses = [run(program, [...common, ...(quick ? ['--short'] : [])])];
  say(`kernels against their CPU twins: ${statuses[0] === 0 ? 'equal' : `failed (exit code ${statuses[0]})`}`);
  statuses.push(run(pipeline, [...common, ...(quick ? ['--short'] : [])]));
  say(`the pipeline with plain stages: ${statuses[1] === 0 ? 'equal' : `failed (exit code ${statuses[1]})`}`);
  if (sanitize && !simulated) {
    const sanitizer = computeSanitizer();
    if (!sanitizer) say('compute-sanitizer was not found (PATH, CUDA_HOME, COMPUTE_SANITIZER): not run under it');
    for (const tool of sanitizer ? ['memcheck', 'racecheck', 'initcheck', 'synccheck'] : []) {
      // Without guards, so that memcheck sees the very first byte beyond a target.
      const args = [program, ...common, '--short', '--guard', '0', '--runs', '0'];
      const status = run(sanitizer, [`--tool=${tool}`, `--error-exitcode=${foundByTool}`, ...args]);
      say(`${tool}: ${status === 0 ? 'clean' : status === foundByTool ? 'errors found' : `exit code ${status}`}`);
      statuses.push(status);
    }
  }
  const passed = statuses.filter((status) => status === 0).length;
  return { passed, failed: statuses.length - passed };
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const { values } = parseArgs({
      options: {
        device: { type: 'string', default: '0' },
        short: { type: 'boolean', default: false },
        'no-sanitizer': { type: 'boolean', default: false },
        simulated: { type: 'boolean', default: false },
      },
    });
    const say = (line) => process.stderr.write(`test:kernels: ${line}\n`);
    const { device, short: quick, simulated } = values;
    const { failed } = kernelSelftest({ device, quick, simulated, sanitize: !values['no-sanitizer'], say });
    process.exit(failed === 0 ? 0 : 1);
  } catch (error) {
    exitWith(error);
  }
}
