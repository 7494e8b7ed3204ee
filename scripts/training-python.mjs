// The Python that runs the tests of training/: PyTorch and SciPy from the system (Debian's are a tenth of PyPI's), and
// the small packages of `wheels` in a virtual environment on top.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { quietly, root, works } from './run.mjs';
import { installTools } from './system-tools.mjs';

const environment = join(root, '.venv');
const inEnvironment = join(environment, 'bin', 'python');
const wheels = ['tokenizers==0.22.2', 'pillow==13.0.0', 'h5py==3.16.0'];
const modules = 'torch, scipy, numpy, tokenizers, PIL, h5py';

/** Path of an interpreter that can import what training/ needs; installs it if necessary. Throws SetupError. */
export function trainingPython({ yes }) {
  const own = process.env.RVOS_PYTHON;
  for (const python of own ? [own] : [inEnvironment, 'python3', '/usr/bin/python3']) {
    if (imports(python, modules)) return python;
  }
  const base = () => ['python3', '/usr/bin/python3'].find((python) => imports(python, 'torch, scipy, numpy'));
  const missing = base() ? [] : ['PyTorch', 'SciPy'];
  if (!works('/usr/bin/python3', ['-c', 'import venv, ensurepip'])) missing.push('venv');
  installTools(missing, { yes });
  process.stderr.write('Preparing Python for the tests of training/…\n');
  const python = base() ?? '/usr/bin/python3';
  if (!existsSync(inEnvironment)) {
    quietly('.venv could not be made', python, ['-m', 'venv', '--system-site-packages', environment]);
  }
  // Without their dependencies: NumPy is the system's, the others serve downloads from a model hub, which nothing makes.
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--no-deps', ...wheels];
  quietly('Python packages could not be installed', inEnvironment, pip);
  return inEnvironment;
}

function imports(python, modules) {
  return works(python, ['-c', `import ${modules}`]);
}
