// What the bundle runs that is compiled: rvos and its addon for TensorRT, with the headers of the library that goes into the
// bundle or, without one, with the kit's; the simulated device; the self-tests. In a folder of its own below build/, so that
// making a bundle changes nothing that this checkout runs.
import { join } from 'node:path';
import { runChild } from '../native-kit/child.mjs';
import { root, SetupError } from '../run.mjs';

const folder = join(root, 'build', 'gpu-bundle');

/** Resolves to the folder with `tensorrt/` and `cmake-*`/selftest. Throws SetupError. */
export async function compileFor(tensorRt, { say, signal, yes }) {
  say('compiling …');
  const library = tensorRt ? ['--tensorrt', tensorRt.folder] : ['--headers-only'];
  const args = ['--kit', '--flavors', 'tensorrt,simulated', ...library, ...(yes ? ['--yes'] : [])];
  const { status, text } = await runChild(process.execPath, [join(root, 'scripts', 'setup-native.mjs'), ...args], {
    env: { ...process.env, RVOS_COMPILED: folder },
    onLine: (line) => say(line.replace(/^setup:native: /, '')),
    signal,
  });
  if (status === 0) return folder;
  throw new SetupError(`bundle:gpu: the addons could not be compiled: ${text.trim().split('\n').at(-1)}`);
}
