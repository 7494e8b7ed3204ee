// The main package: what package.json lists under `files`, less what no code reads, with the platform packages of the same
// run as optional dependencies. The clone's own manifest names none: no registry knows them before they are published.
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../run.mjs';
import { mainManifest, npmPack, pack, writeManifest } from './tarball.mjs';

export function packMain(stage, destination, platformPackages) {
  const folder = join(stage, 'rvos');
  const listed = npmPack(['--dry-run'], root).files.map(({ path }) => path);
  for (const path of listed.filter(ships)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    copyFileSync(join(root, path), join(folder, path));
  }
  const { scripts: _, gypfile: __, ...manifest } = mainManifest;
  const optional = platformPackages.map(({ name, version }) => [name, version]);
  writeManifest(folder, { ...manifest, optionalDependencies: Object.fromEntries(optional), preferUnplugged: true });
  return pack(folder, destination);
}

/** Of the compact model: what its description lists. Graphs of other sizes are written when a user needs them. */
function ships(path) {
  const [, name] = /^models\/compact\/(.*)$/.exec(path) ?? [];
  return name === undefined || name === 'model.json' || name === 'README.md' || Object.hasOwn(modelFiles(), name);
}

function modelFiles() {
  return JSON.parse(readFileSync(join(root, 'models', 'compact', 'model.json'), 'utf8')).files;
}
