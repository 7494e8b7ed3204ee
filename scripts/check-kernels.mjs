// Whether the build has compiled every kernel file, for every GPU that rvos is for, without fusing products and sums.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { architectures, readCommands, workFolder } from './kernel-resources.mjs';
import { root } from './run.mjs';

/** One check a kernel file; prints what is wrong. Returns the counts of passed and failed checks. */
export function checkKernels() {
  const commands = readCommands();
  const kernels = readdirSync(join(root, 'native'), { recursive: true })
    .filter((name) => name.endsWith('.cu'))
    .map((name) => join(root, 'native', name));
  let failed = kernels.length === 0 ? 1 : 0;
  for (const kernel of kernels) {
    const problems = problemsOf(commands.find(({ file }) => file === kernel));
    if (problems.length === 0) continue;
    failed++;
    process.stdout.write(`   ${kernel.slice(root.length + 1)}: ${problems.join(', ')}\n`);
  }
  return { passed: Math.max(0, kernels.length - failed), failed };
}

function problemsOf(entry) {
  if (!entry) return ['not part of the build'];
  const { command } = entry;
  const problems = architectures
    .filter((sm) => !command.includes(`code=[sm_${sm}]`) && !command.includes(`sm_${sm},`))
    .map((sm) => `not compiled for sm_${sm}`);
  if (!command.includes('--fmad=false')) problems.push('compiled without --fmad=false');
  const object = / -o (\S+)/.exec(command)?.[1];
  if (!object || !existsSync(join(workFolder, object))) problems.push('not compiled');
  return problems;
}
