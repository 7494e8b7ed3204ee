// The kit: CUDA compiler, TensorRT-RTX, headers and OpenVINO from public packages, in the kit folder (places.mjs), fetched with
// pip and cargo as they are set up on this machine. A part is made in a folder beside its place and renamed when it is
// whole, so what is there is complete; an interruption removes what was begun.
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { output, root, SetupError, works } from '../run.mjs';
import { installTools } from '../system-tools.mjs';
import { runChild } from './child.mjs';
import { cuda, headers, openVino, rtx, zig } from './packages.mjs';
import { isInstalled, kitFolder } from './places.mjs';

/** Folder of the CUDA compiler, as CUDA_HOME. Options: `progress` takes lines, `signal` ends downloads, `yes`
 * lets system packages be installed through sudo, `dry` only tells the place. */
export function kitCuda(options) {
  return part('cuda', cuda, options, (folder) => fromWheels(cuda, folder, options));
}

/** Folder of TensorRT-RTX' libraries. */
export function kitRtx(options) {
  return part('tensorrt-rtx', rtx, options, (folder) => fromWheels(rtx, folder, options));
}

/** Folder of the Zig compiler. */
export function kitZig(options) {
  return part('zig', zig, options, (folder) => fromWheels(zig, folder, options));
}

/** Folder of OpenVINO: `lib`, `include`, `licenses`. */
export function kitOpenVino(options) {
  return part('openvino', openVino, options, async (folder) => {
    await fromWheels(openVino, folder, options);
    return openVinoFrom(join(folder, 'packages'), join(folder, 'openvino'));
  });
}

/** What of the unpacked wheel is kept, moved into `made`. */
function openVinoFrom(wheel, made) {
  const { version, libraries } = openVino;
  const from = join(wheel, 'openvino');
  mkdirSync(join(made, 'lib'), { recursive: true });
  const names = readdirSync(join(from, 'libs')).filter((name) => libraries.some((pattern) => pattern.test(name)));
  if (names.length !== libraries.length)
    throw new SetupError(`the wheel of OpenVINO ${version} has not the libraries expected.`);
  for (const name of names) renameSync(join(from, 'libs', name), join(made, 'lib', name));
  mkdirSync(join(made, 'include', 'openvino'), { recursive: true });
  renameSync(join(from, 'include', 'openvino', 'c'), join(made, 'include', 'openvino', 'c'));
  renameSync(join(wheel, `openvino-${version}.dist-info`, 'licenses'), join(made, 'licenses'));
  return made;
}

/** Folder with one folder of headers for each flavour and version: `tensorrt-11.4`, `tensorrt-rtx-1.7`, … */
export function kitHeaders(options) {
  return part('headers', headers, options, (folder) => headersFromCrates(folder, options));
}

/** Whether the packages exist for this machine. */
export function kitIsPossible() {
  return process.platform === 'linux' && process.arch === 'x64';
}

/** The part's folder; `make` fills an empty one and returns which folder in it is the part. */
async function part(name, { name: title, version, megabytes }, { progress, signal, dry }, make) {
  const place = join(kitFolder, `${name}-${version}`);
  if (dry || existsSync(place)) return place;
  if (!kitIsPossible()) {
    throw new SetupError(
      `the kit is for Linux on x86-64, this is ${process.platform} on ${process.arch}. Install CUDA and TensorRT and name their folders in CUDA_HOME and TENSORRT_ROOT.`,
    );
  }
  mkdirSync(kitFolder, { recursive: true });
  removeAbandoned();
  const partial = join(kitFolder, `partial-${process.pid}-${name}`);
  mkdirSync(partial);
  try {
    progress(`fetching ${title} ${version} (${megabytes} MB)…`);
    const started = performance.now();
    const made = await make(partial);
    signal?.throwIfAborted();
    try {
      renameSync(made, place);
    } catch (error) {
      // Another set-up at the same time was faster.
      if (!existsSync(place)) throw error;
    }
    progress(`fetched ${title} ${version} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    return place;
  } catch (error) {
    if (error.code === 'ENOSPC')
      throw new SetupError(
        `no space left in ${kitFolder}. Free some, or name another folder in ${isInstalled ? 'RVOS_HOME' : 'RVOS_KIT'}.`,
      );
    throw error;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}

/** Folders of set-ups that were killed. */
function removeAbandoned() {
  for (const name of readdirSync(kitFolder)) {
    const pid = Number(/^partial-(\d+)-/.exec(name)?.[1]);
    if (pid && !alive(pid)) rmSync(join(kitFolder, name), { recursive: true, force: true });
  }
}

function alive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

async function fromWheels({ name, wheels, platform = [], folder: inside, links }, folder, { yes, signal }) {
  const python = pythonWithPip({ yes });
  const requirements = join(folder, 'requirements.txt');
  writeFileSync(requirements, wheels.map(([wheel, hash]) => `${wheel} --hash=sha256:${hash}\n`).join(''));
  const target = join(folder, 'packages');
  const options = [
    '--quiet',
    '--disable-pip-version-check',
    '--no-deps',
    '--no-compile',
    '--only-binary',
    ':all:',
    ...platform,
  ];
  const args = ['-m', 'pip', 'install', ...options, '--require-hashes', '--target', target, '-r', requirements];
  await client(`${name} could not be fetched with pip`, python, args, { signal, folder });
  const made = join(target, inside);
  for (const [link, to] of links) symlinkSync(to, join(made, link));
  return made;
}

function pythonWithPip({ yes }) {
  const find = () =>
    ['python3', '/usr/bin/python3', join(root, '.venv', 'bin', 'python')].find((python) =>
      works(python, ['-m', 'pip', '--version']),
    );
  const found = find();
  if (found) return found;
  installTools(['pip'], { yes });
  const installed = find();
  if (!installed) throw new SetupError('pip is missing and could not be installed. Install Python 3 with pip.');
  return installed;
}

async function headersFromCrates(folder, { yes, signal }) {
  const cargo = cargoProgram({ yes });
  const made = join(folder, 'headers');
  for (const { crate, version, folders } of headers.crates) {
    const manifest = join(folder, version, 'Cargo.toml');
    mkdirSync(join(folder, version));
    writeFileSync(
      manifest,
      `[package]\nname = "kit"\nversion = "0.0.0"\nedition = "2021"\n[lib]\npath = "kit.rs"\n[dependencies]\n${crate} = "=${version}"\n`,
    );
    writeFileSync(join(folder, version, 'kit.rs'), '');
    const what = `${headers.name} could not be fetched with cargo`;
    await client(what, cargo, ['fetch', '--quiet', '--manifest-path', manifest], { signal, folder });
    const source = crateFolder(cargo, manifest, crate);
    for (const [name, target] of Object.entries(folders)) {
      const from = source && join(source, 'TensorRT-Headers', name);
      if (!from || !existsSync(from)) throw new SetupError(`crate ${crate} ${version} has no folder ${name}.`);
      cpSync(from, join(made, target), { recursive: true });
    }
  }
  const digest = digestOf(made);
  if (digest !== headers.digest) {
    throw new SetupError(`the headers that cargo fetched are not those expected: SHA-256 ${digest}.`);
  }
  return made;
}

function crateFolder(cargo, manifest, crate) {
  const args = ['metadata', '--offline', '--format-version', '1', '--manifest-path', manifest];
  const answer = output(cargo, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  if (answer === undefined) return undefined;
  const { packages } = JSON.parse(answer);
  return packages.find(({ name }) => name === crate)?.manifest_path.replace(/[/\\]Cargo\.toml$/, '');
}

/** SHA-256 over names and contents of all files. */
function digestOf(folder) {
  const hash = createHash('sha256');
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(folder.length + 1));
  for (const name of names.sort()) {
    hash.update(`${name}\n`).update(
      createHash('sha256')
        .update(readFileSync(join(folder, name)))
        .digest(),
    );
  }
  return hash.digest('hex');
}

/** Cargo that knows the sparse index and today's manifests; installed if it is missing and that is allowed. */
function cargoProgram({ yes }) {
  const found = newEnoughCargo();
  if (found) return found;
  installTools(['cargo'], { yes });
  const installed = newEnoughCargo();
  if (!installed) {
    throw new SetupError(
      'cargo 1.85 or newer is needed to fetch the TensorRT headers. Install it, or name a TensorRT-RTX with headers in TENSORRT_RTX_ROOT.',
    );
  }
  return installed;
}

function newEnoughCargo() {
  return ['cargo', join(homedir(), '.cargo', 'bin', 'cargo'), '/usr/bin/cargo'].find((program) => {
    const [, major, minor] = /^cargo (\d+)\.(\d+)/m.exec(output(program, ['--version']) ?? '') ?? [];
    return Number(major) > 1 || (Number(major) === 1 && Number(minor) >= 85);
  });
}

/** Runs a package client silently; the last error line of what it prints becomes the reason. */
async function client(what, program, args, { signal, folder }) {
  // What it unpacks on the way goes with the unfinished part.
  const env = { ...process.env, NO_COLOR: '1', TMPDIR: folder };
  const { status, text } = await runChild(program, args, { signal, env });
  if (status === 0) return;
  const lines = text.split('\n').filter((line) => line.trim());
  const told = lines.findLast((line) => /error/i.test(line)) ?? lines.at(-1) ?? `exit code ${status}`;
  throw new SetupError(`${what}: ${told.trim()}. Check the network and the settings of ${program}, then try again.`);
}
