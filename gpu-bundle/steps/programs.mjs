// The programs that steps run, and the environment they are run in.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

export const rvos = ({ root }) => join(root, 'dist', 'cli', 'main.js');

/** Python is the machine's own. */
export function pythonOf() {
  return process.env.RVOS_PYTHON || 'python3';
}

/** compute-sanitizer of COMPUTE_SANITIZER, PATH or the CUDA toolkit; undefined if it is nowhere. */
export function sanitizer() {
  const homes = [process.env.CUDA_HOME, '/usr/local/cuda'].filter(Boolean);
  const candidates = [
    process.env.COMPUTE_SANITIZER,
    'compute-sanitizer',
    ...homes.map((home) => join(home, 'bin', 'compute-sanitizer')),
  ];
  return candidates.find((program) => program && spawnSync(program, ['--version'], { stdio: 'ignore' }).status === 0);
}

export function selftest({ root, simulated }, name) {
  const program = join(root, 'build', simulated ? 'cmake-simulated' : 'cmake-tensorrt', 'selftest', name);
  if (!existsSync(program)) throw new Error(`${program} is missing`);
  return program;
}

/**
 * Variables for rvos' own programs: which flavour, where its libraries and the engines are. Nothing of the machine's settings for
 * rvos gets in, nor into its cache folder.
 */
export function environment({ root, simulated, tensorRt, device, work }) {
  const libraries = tensorRt?.folder && {
    RVOS_TENSORRT_LIBRARY: tensorRt.infer,
    RVOS_TENSORRT_PARSER: tensorRt.parser,
    // The builder opens its resources by name.
    LD_LIBRARY_PATH: [tensorRt.folder, process.env.LD_LIBRARY_PATH].filter(Boolean).join(':'),
  };
  return {
    RVOS_HOME: join(work, 'cache'),
    RVOS_TENSORRT_FLAVOR: simulated ? 'simulated' : 'tensorrt',
    RVOS_TENSORRT_ADDONS: join(root, 'build', 'tensorrt'),
    RVOS_GOLDENS: join(root, 'test', 'goldens'),
    // The chosen GPU is the only one that the programs see.
    ...(simulated
      ? { NODE_OPTIONS: `--import=${new URL('../simulated-stages.mjs', import.meta.url).href}` }
      : { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: String(device) }),
    ...libraries,
  };
}
