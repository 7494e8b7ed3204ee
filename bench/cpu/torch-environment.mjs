// Python with the newest PyTorch that pip finds, in a virtual environment of the benchmark's own.
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../scripts/run.mjs';

const folder = join(root, 'build', 'bench', 'torch');

/** Path of its interpreter, or `{ missing }`, why there is none. `RVOS_BENCH_PYTHON` names another one. */
export function torchPython(tell) {
  const own = process.env.RVOS_BENCH_PYTHON;
  if (own) return imports(own) ? { python: own } : { missing: `${own} cannot import torch and numpy` };
  const python = join(folder, 'bin', 'python');
  if (imports(python)) return { python };
  try {
    tell('installing PyTorch into build/bench/torch; it has several gigabytes …');
    if (existsSync(folder)) rmSync(folder, { recursive: true });
    execFileSync('python3', ['-m', 'venv', folder], { stdio: ['ignore', 'ignore', 'pipe'] });
    const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', 'torch', 'numpy'];
    execFileSync(python, pip, { stdio: ['ignore', 'ignore', 'pipe'] });
  } catch (error) {
    const said = String(error.stderr ?? error.message)
      .trim()
      .split('\n')
      .at(-1);
    return { missing: `PyTorch could not be installed (${said})` };
  }
  return imports(python) ? { python } : { missing: 'PyTorch was installed and cannot be imported' };
}

function imports(python) {
  return spawnSync(python, ['-c', 'import torch, numpy'], { stdio: 'ignore' }).status === 0;
}
