// The native core, rvos_core.node, compiled into Release/ of the folder for what is compiled; and cross-compiled for
// packing.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { SetupError } from '../run.mjs';
import { compile, fingerprint, install, requireCompiler } from './compile.mjs';
import { compiledFolder, shown } from './places.mjs';

export const coreFile = join(compiledFolder, 'Release', 'rvos_core.node');
const stamp = join(compiledFolder, 'Release', 'rvos_core.stamp');

/** Builds it, unless nothing has changed since the last build. Resolves to whether it built. */
export async function buildCore({ force = false, progress, signal } = {}) {
  const inputs = coreInputs();
  if (!force && existsSync(coreFile) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs) return false;
  requireCompiler();
  const started = performance.now();
  const workFolder = join(compiledFolder, 'cmake');
  await compileCore(workFolder, { progress, signal });
  rmSync(stamp, { force: true });
  install(builtIn(workFolder), coreFile);
  writeFileSync(stamp, inputs);
  progress?.(`built ${shown(coreFile)} in ${((performance.now() - started) / 1000).toFixed(1)} s`);
  return true;
}

/** The same for another platform: `defines` names its compiler for CMake, `arch` is Node's name for it. */
export async function crossBuildCore(name, { defines, arch, progress, signal }) {
  const workFolder = join(compiledFolder, `cmake-${name}`);
  const file = join(workFolder, 'rvos_core.node');
  const built = join(workFolder, 'rvos_core.stamp');
  const inputs = coreInputs(JSON.stringify({ defines, arch }));
  if (existsSync(built) && existsSync(file) && readFileSync(built, 'utf8') === inputs) return file;
  rmSync(workFolder, { recursive: true, force: true });
  progress?.(`compiling the native core for ${name}…`);
  await compileCore(workFolder, { defines, arch, signal });
  const made = builtIn(workFolder);
  mkdirSync(dirname(file), { recursive: true });
  if (made !== file) install(made, file);
  writeFileSync(built, inputs);
  return file;
}

function coreInputs(extra = '') {
  const folders = [
    ['native/addon', false],
    ['native/core', true],
    ['native/openvino', true],
  ];
  return fingerprint(['CMakeLists.txt', 'cmake/options.cmake', 'cmake/node_addon.cmake'], folders, extra);
}

async function compileCore(workFolder, { defines, ...options }) {
  await compile({ workFolder, defines: { RVOS_FLAVORS: 'none', ...defines }, target: 'rvos_core', ...options });
}

function builtIn(workFolder) {
  const built = ['Release', '.'].map((place) => join(workFolder, place, 'rvos_core.node')).find(existsSync);
  if (!built) throw new SetupError(`the build left no rvos_core.node in ${shown(workFolder)}. Try again without it.`);
  return built;
}
