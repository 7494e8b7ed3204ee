#!/usr/bin/env node
// Builds the native addon with cmake-js and puts it where node-gyp-build looks: build/Release/rvos_core.node.
//
//   node scripts/build-native.mjs              build, unless nothing has changed since the last build
//   node scripts/build-native.mjs --force      build in any case
//   node scripts/build-native.mjs --prebuild   also copy it to prebuilds/<platform>-<arch>/ for the packed package
//
// Prints nothing when up to date, one line when it built, and the compiler's output only when that failed.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const require = createRequire(join(root, 'package.json'));
const workFolder = join(root, 'build', 'cmake');
const addon = join(root, 'build', 'Release', 'rvos_core.node');
const stamp = join(root, 'build', 'Release', 'rvos_core.stamp');

const known = new Set(['--force', '--prebuild']);
const flags = new Set(process.argv.slice(2));
for (const flag of flags) {
  if (!known.has(flag)) fail(`unknown option ${flag}`, `Use ${[...known].join(' or ')}.`, 2);
}

const inputs = fingerprint();
if (flags.has('--force') || !upToDate(inputs)) build(inputs);
if (flags.has('--prebuild')) prebuild();

function fail(what, remedy, code = 1) {
  console.error(`build:native: ${what}. ${remedy}`);
  process.exit(code);
}

/** SHA-256 over everything the binary depends on, so that a checkout that only touches dates builds nothing. */
function fingerprint() {
  const hash = createHash('sha256');
  const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  hash.update(`${process.platform}-${process.arch} ${packageJson.version} ${JSON.stringify(packageJson.binary)}\n`);
  for (const name of ['node-addon-api', 'node-api-headers', 'cmake-js']) hash.update(`${name}@${versionOf(name)}\n`);
  for (const file of ['CMakeLists.txt', ...sources('native/addon'), ...sources('native/core')]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

function sources(folder) {
  return readdirSync(join(root, folder), { recursive: true })
    .filter((name) => /\.(cc|h)$/.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}

function versionOf(name) {
  try {
    return require(`${name}/package.json`).version;
  } catch {
    return 'absent';
  }
}

function upToDate(inputs) {
  return existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs;
}

function build(inputs) {
  requireTools();
  const started = performance.now();
  const cli = join(dirname(require.resolve('cmake-js/package.json')), 'bin', 'cmake-js');
  const jobs = String(availableParallelism());
  const run = spawnSync(
    process.execPath,
    [cli, 'compile', '--directory', root, '--out', workFolder, '--config', 'Release', '--parallel', jobs],
    { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 },
  );
  const built = [join(workFolder, 'Release', 'rvos_core.node'), join(workFolder, 'rvos_core.node')].find(existsSync);
  if (run.error || run.status !== 0 || !built) {
    process.stderr.write(`${run.stdout ?? ''}${run.stderr ?? ''}`);
    fail(
      'the native addon did not compile',
      'The output above says where; after an upgrade try again without build/cmake.',
    );
  }
  mkdirSync(dirname(addon), { recursive: true });
  rmSync(stamp, { force: true });
  install(built, addon);
  writeFileSync(stamp, inputs);
  console.error(
    `build:native: built build/Release/rvos_core.node in ${((performance.now() - started) / 1000).toFixed(1)} s`,
  );
}

/** Copy to a temporary name, then rename: a process that has the old file loaded keeps it. */
function install(from, to) {
  const temporary = `${to}.${process.pid}.tmp`;
  copyFileSync(from, temporary);
  renameSync(temporary, to);
}

function requireTools() {
  const absent = ['cmake-js', 'node-addon-api', 'node-api-headers'].filter((name) => versionOf(name) === 'absent');
  if (absent.length > 0) {
    fail(`${absent.join(', ')} not installed`, `Run npm ci, or npm install --no-save ${absent.join(' ')}.`);
  }
  const runs = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
  const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  const missing = [];
  if (!runs('cmake')) missing.push('CMake');
  // On Windows cmake-js finds Visual Studio itself.
  if (process.platform !== 'win32' && !compilers.some(runs)) missing.push('a C++ compiler');
  if (process.platform !== 'win32' && !runs('make') && !runs('ninja')) missing.push('make');
  if (missing.length > 0) fail(`${missing.join(' and ')} not found`, remedy());
}

function remedy() {
  if (process.platform === 'darwin') return 'Install them: xcode-select --install && brew install cmake.';
  if (process.platform === 'win32') return 'Install Visual Studio Build Tools (C++) and CMake.';
  return 'Install them: apt-get install -y build-essential cmake.';
}

/** node-gyp-build's naming: tags between dots; the C library matters on Linux only. */
function prebuild() {
  const libc = existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
  const tags = process.platform === 'linux' ? `napi.${libc}` : 'napi';
  const target = join('prebuilds', `${process.platform}-${process.arch}`, `rvos_core.${tags}.node`);
  mkdirSync(join(root, dirname(target)), { recursive: true });
  install(addon, join(root, target));
  console.error(`build:native: copied to ${target}`);
}
