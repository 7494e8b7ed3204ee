#!/usr/bin/env node
// Makes a fresh clone ready: system tools, npm packages, build. Does only what is missing and says nothing otherwise.
//
//   node scripts/setup.mjs [--yes] [--training]
//
// --yes       install missing system packages through sudo (as root they are installed in any case)
// --training  also Python for the tests of training/
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { exitWith, npm, quietly, root, SetupError } from './run.mjs';
import { ffmpegRelease, installTools, missingTools } from './system-tools.mjs';
import { trainingPython } from './training-python.mjs';

/** Throws SetupError: what is missing and the remedy. */
export function setup({ yes = false } = {}) {
  checkNode();
  installTools(missingTools(), { yes });
  const missing = missingTools();
  if (missing.length > 0) throw new SetupError(`Still missing after the installation: ${missing.join(', ')}.`);
  if (ffmpegRelease() < 4) {
    throw new SetupError(
      'The installed ffmpeg is older than 4.0: install a newer one, or name it in RVOS_FFMPEG and RVOS_FFPROBE.',
    );
  }
  installPackages();
  build('build-typescript.mjs');
  build('build-native.mjs');
}

function checkNode() {
  const wanted = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines.node.replace('>=', '');
  const [wantedMajor, wantedMinor] = wanted.split('.').map(Number);
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < wantedMajor || (major === wantedMajor && minor < wantedMinor)) {
    throw new SetupError(`rvos needs Node ${wanted} or newer; this is ${process.versions.node}.`);
  }
}

/** `npm ci`, unless node_modules was made from this very package-lock.json. */
function installPackages() {
  const lock = join(root, 'package-lock.json');
  const stamp = join(root, 'node_modules', '.rvos-lock.sha256');
  const digest = createHash('sha256').update(readFileSync(lock)).digest('hex');
  // npm writes this file last; it also counts where somebody ran npm ci by hand.
  const installed = modified(join(root, 'node_modules', '.package-lock.json'));
  if (installed !== undefined && (read(stamp) === digest || installed >= modified(lock))) return;
  process.stderr.write('Installing npm packages…\n');
  const [program, args] = npm(['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  quietly('The npm packages could not be installed', program, args);
  writeFileSync(stamp, digest);
}

function modified(file) {
  try {
    return statSync(file).mtimeMs;
  } catch {
    return undefined;
  }
}

function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

/** The build scripts say one line when they built something, and what is wrong when they could not. */
function build(script) {
  const run = spawnSync(process.execPath, [join(root, 'scripts', script)], { cwd: root, stdio: ['ignore', 2, 2] });
  if (run.status !== 0) throw new SetupError('rvos could not be built: see above.');
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) {
  try {
    const yes = process.argv.includes('--yes');
    setup({ yes });
    if (process.argv.includes('--training')) trainingPython({ yes });
  } catch (error) {
    exitWith(error);
  }
}
