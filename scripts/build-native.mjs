#!/usr/bin/env node
// Builds the native core with cmake-js and puts it where node-gyp-build looks: build/Release/rvos_core.node. The addons
// for TensorRT are setup-native.mjs' concern.
//
//   node scripts/build-native.mjs              build, unless nothing has changed since the last build
//   node scripts/build-native.mjs --force      build in any case
//   node scripts/build-native.mjs --prebuild   also copy it to prebuilds/<platform>-<arch>/ for the packed package
//
// Prints nothing when up to date, one line when it built, and the compiler's output only when that failed.
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { compile, fingerprint, install, requireBuildTools } from './native-kit/compile.mjs';
import { root, SetupError } from './run.mjs';

const workFolder = join(root, 'build', 'cmake');
const addon = join(root, 'build', 'Release', 'rvos_core.node');
const stamp = join(root, 'build', 'Release', 'rvos_core.stamp');

const known = new Set(['--force', '--prebuild']);
const flags = new Set(process.argv.slice(2));
for (const flag of flags) {
  if (!known.has(flag)) fail(`unknown option ${flag}. Use ${[...known].join(' or ')}.`, 2);
}

const inputs = fingerprint(
  ['CMakeLists.txt', 'cmake/options.cmake', 'cmake/node_addon.cmake'],
  [
    ['native/addon', false],
    ['native/core', true],
  ],
);
try {
  if (flags.has('--force') || !upToDate(inputs)) await build(inputs);
  if (flags.has('--prebuild')) prebuild();
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  fail(error.message);
}

function fail(message, code = 1) {
  console.error(`build:native: ${message}`);
  process.exit(code);
}

function upToDate(inputs) {
  return existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs;
}

async function build(inputs) {
  requireBuildTools();
  const started = performance.now();
  await compile({ workFolder, defines: { RVOS_FLAVORS: 'none' }, target: 'rvos_core' });
  const built = [join(workFolder, 'Release', 'rvos_core.node'), join(workFolder, 'rvos_core.node')].find(existsSync);
  if (!built) throw new SetupError('the build left no rvos_core.node in build/cmake. Try again without build/cmake.');
  rmSync(stamp, { force: true });
  install(built, addon);
  writeFileSync(stamp, inputs);
  console.error(
    `build:native: built build/Release/rvos_core.node in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
}

/** node-gyp-build's naming: tags between dots; the C library matters on Linux only. */
function prebuild() {
  const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
  const tags = process.platform === 'linux' ? `napi.${libc}` : 'napi';
  const target = join('prebuilds', `${process.platform}-${process.arch}`, `rvos_core.${tags}.node`);
  install(addon, join(root, target));
  console.error(`build:native: copied to ${target}`);
}
