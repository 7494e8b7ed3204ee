// Compiling addons with cmake-js: the tools it takes, the state of what they are made from, the build, and putting the
// result in its place. Node's own modules only.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { root, SetupError } from '../run.mjs';
import { runChild } from './child.mjs';
import { packageFolder, toolsFolder, toolVersions } from './tools.mjs';

/** Throws SetupError naming which of the system's programs is missing, with the command that installs it. */
export function requireCompiler() {
  const runs = (command) => spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
  const compilers = process.env.CXX ? [process.env.CXX] : ['c++', 'g++', 'clang++'];
  const missing = [];
  if (!runs('cmake')) missing.push('CMake');
  // On Windows cmake-js finds Visual Studio itself.
  if (process.platform !== 'win32' && !compilers.some(runs)) missing.push('a C++ compiler');
  if (process.platform !== 'win32' && !runs('make') && !runs('ninja')) missing.push('make');
  if (missing.length > 0) throw new SetupError(`${missing.join(' and ')} not found. ${remedy()}`);
}

function remedy() {
  if (process.platform === 'darwin') return 'Install them: xcode-select --install && brew install cmake.';
  if (process.platform === 'win32') return 'Install Visual Studio Build Tools (C++) and CMake.';
  return 'Install them: apt-get install -y build-essential cmake.';
}

/**
 * SHA-256 over the files of the package that a binary is made from, the tools' versions and `extra`, so that a checkout
 * that only touches dates builds nothing. `folders`: [folder, recursive].
 */
export function fingerprint(files, folders, extra = '') {
  const hash = createHash('sha256');
  const packageJson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  hash.update(`${process.platform}-${process.arch} ${packageJson.version} ${JSON.stringify(packageJson.binary)}\n`);
  hash.update(`${toolVersions.join('\n')}\n`);
  hash.update(`${extra}\n`);
  for (const file of [...files, ...folders.flatMap(([folder, recursive]) => sources(folder, recursive))]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

function sources(folder, recursive) {
  return readdirSync(join(root, folder), { recursive })
    .filter((name) => /\.(cc|cu|cuh|h|cmake)$/.test(name))
    .sort()
    .map((name) => `${folder}/${name}`);
}

/**
 * Configures and builds with cmake-js in `workFolder`. `arch`: Node's name of another processor than this one's. `onLine`:
 * each line of output while it runs; `progress` takes what is fetched for it. Resolves to what was printed; throws
 * SetupError, after showing that, when it fails. `signal` ends it.
 */
export async function compile({
  workFolder,
  defines,
  target,
  arch,
  jobs = availableParallelism(),
  onLine,
  progress,
  signal,
}) {
  const tools = await toolsFolder({ progress, signal });
  const cli = join(packageFolder(tools, 'cmake-js'), 'bin', 'cmake-js');
  const common = [cli, '--directory', root, '--out', workFolder, '--config', 'Release', '--log-level', 'error'];
  if (arch) common.push('--arch', arch);
  // CMake asks Node where the headers are, and Node looks here after the package's own folder.
  const env = { ...process.env, NODE_PATH: join(tools, 'node_modules') };
  const variables = Object.entries(defines).map(([name, value]) => `--CD${name}=${value}`);
  const goal = target ? ['--target', target] : [];
  let printed = '';
  for (const args of [
    [...common, ...variables, 'configure'],
    [...common, ...goal, '--parallel', String(jobs), 'build'],
  ]) {
    const { status, text } = await runChild(process.execPath, args, { cwd: root, env, onLine, signal });
    if (status !== 0) {
      process.stderr.write(text);
      const advice = 'The output above says where; after an upgrade try again without build/';
      throw new SetupError(`the native addon did not compile. ${advice}.`);
    }
    printed += text;
  }
  return printed;
}

/** Copy to a temporary name, then rename: a process that has the old file loaded keeps it. */
export function install(from, to) {
  mkdirSync(dirname(to), { recursive: true });
  const temporary = `${to}.${process.pid}.tmp`;
  copyFileSync(from, temporary);
  renameSync(temporary, to);
}
