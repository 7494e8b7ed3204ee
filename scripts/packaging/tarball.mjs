// One package from a folder that holds exactly its files.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npm, root, SetupError } from '../run.mjs';
import { targets } from './targets.mjs';

export const mainManifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** The manifest of a platform package: without scripts, for one platform, of the main package's version. */
export function platformManifest(part, target, fields) {
  const { version, homepage, repository, bugs, engines } = mainManifest;
  const { os, cpu, libc } = targets[target];
  return {
    name: `rvos-${part}-${target}`,
    version,
    ...fields,
    homepage,
    repository,
    bugs,
    engines,
    os: [os],
    cpu: [cpu],
    ...(libc && { libc: [libc] }),
    // Libraries are opened as files: yarn must not leave them in an archive.
    preferUnplugged: true,
  };
}

export function writeManifest(folder, manifest) {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** Packs a folder; returns { name, version, file, size, unpackedSize, files: [{ path, size }] }. */
export function pack(folder, destination) {
  mkdirSync(destination, { recursive: true });
  const { name, version, filename, size, unpackedSize, files } = npmPack(['--pack-destination', destination], folder);
  return { name, version, file: join(destination, filename), size, unpackedSize, files };
}

/** What `npm pack` says about a folder. */
export function npmPack(options, folder) {
  const [program, args] = npm(['pack', '--json', '--ignore-scripts', '--loglevel=error', ...options]);
  const run = spawnSync(program, args, { cwd: folder, encoding: 'utf8', maxBuffer: 64 << 20 });
  if (run.status !== 0) throw new SetupError(`npm pack failed in ${folder}: ${run.stderr}`);
  // npm 10 prints a list of packages, newer ones an object by name.
  return Object.values(JSON.parse(run.stdout))[0];
}
