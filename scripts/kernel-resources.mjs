// Registers and spills of each kernel for each GPU that rvos is for, as ptxas tells them, against a recorded budget: a change that
// makes a kernel spill, or keeps fewer of its blocks on a multiprocessor, is seen without a GPU.
//
//   node scripts/kernel-resources.mjs [--record]
//
// --record: what is found becomes the budget (native/tensorrt/kernels/budget.json)
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from './run.mjs';

/** Compute capabilities that kernels are compiled for. */
export const architectures = [75, 80, 86, 89, 90, 100, 120];
export const workFolder = join(root, 'build', 'cmake-tensorrt');
const folder = join(root, 'native', 'tensorrt', 'kernels');
const budgetFile = join(folder, 'budget.json');

/** { <architecture>: { <kernel>: { registers, spillBytes } } }, the most of any instance of a template. Throws Error. */
export function kernelResources(commands) {
  const found = {};
  for (const { file, command, directory } of commands) {
    if (!file.startsWith(folder)) continue;
    // As it is compiled, but for the report and for where the object goes.
    const verbose = `${command.replace(/ -o \S+/, ' -o /dev/null')} -Xptxas -v`;
    const run = spawnSync('sh', ['-c', verbose], { cwd: directory, encoding: 'utf8', maxBuffer: 64 << 20 });
    if (run.status !== 0) throw new Error(`${relative(root, file)} does not compile: ${run.stderr}`);
    addResources(found, `${run.stdout}${run.stderr}`);
  }
  return found;
}

function addResources(found, text) {
  let at;
  for (const line of text.split('\n')) {
    const [, entry, architecture] = /Compiling entry function '(\w+)' for '(sm_\d+)'/.exec(line) ?? [];
    if (entry) {
      const kernel = /\d+([a-zA-Z]+Kernel)/.exec(entry)?.[1] ?? entry;
      found[architecture] ??= {};
      at = found[architecture][kernel] ??= { registers: 0, spillBytes: 0 };
    }
    const [, stores, loads] = /(\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line) ?? [];
    if (at && stores) at.spillBytes = Math.max(at.spillBytes, Number(stores) + Number(loads));
    const [, registers] = /Used (\d+) registers/.exec(line) ?? [];
    if (at && registers) at.registers = Math.max(at.registers, Number(registers));
  }
}

/** What the build runs, by file; nothing before it has been configured. */
export function readCommands() {
  try {
    return JSON.parse(readFileSync(join(workFolder, 'compile_commands.json'), 'utf8'));
  } catch {
    return [];
  }
}

/** What is over the budget or not in it, a line each. */
export function overBudget(found) {
  const { compiler: _, ...budget } = JSON.parse(readFileSync(budgetFile, 'utf8'));
  const problems = [];
  for (const architecture of architectures.map((sm) => `sm_${sm}`)) {
    const kernels = { ...budget[architecture], ...found[architecture] };
    if (Object.keys(found[architecture] ?? {}).length === 0) problems.push(`${architecture}: nothing is reported`);
    for (const kernel of Object.keys(kernels)) {
      const own = found[architecture]?.[kernel];
      const most = budget[architecture]?.[kernel];
      if (!own || !most) problems.push(`${architecture} ${kernel}: ${own ? 'has no budget' : 'is gone'}`);
      else if (own.registers > most.registers || own.spillBytes > most.spillBytes) {
        problems.push(
          `${architecture} ${kernel}: ${own.registers} registers, ${own.spillBytes} bytes spilled; the budget is ${most.registers} and ${most.spillBytes}`,
        );
      }
    }
  }
  return problems;
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const found = kernelResources(readCommands());
  if (process.argv.includes('--record')) {
    const { cuda } = await import('./native-kit/packages.mjs');
    writeFileSync(budgetFile, `${JSON.stringify({ compiler: `nvcc ${cuda.version}`, ...found }, null, 2)}\n`);
  }
  const problems = overBudget(found);
  process.stdout.write(problems.length === 0 ? 'within the budget\n' : `${problems.join('\n')}\n`);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
