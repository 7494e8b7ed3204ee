// rvos-core-<platform>: the native core, compiled on this machine or for another platform.
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildCore, coreFile, crossBuildCore } from '../native-kit/core.mjs';
import { root, SetupError } from '../run.mjs';
import { crossCompiler } from './cross-compiler.mjs';
import { pack, platformManifest, writeManifest } from './tarball.mjs';
import { targets, thisTarget } from './targets.mjs';

export async function packCore(target, stage, destination, { progress, yes }) {
  const file = await compiled(target, { progress, yes });
  const manifest = platformManifest('core', target, {
    description: `The native core of rvos for ${target}; rvos installs it where it fits`,
    license: 'Apache-2.0',
  });
  const folder = join(stage, manifest.name);
  writeManifest(folder, manifest);
  copyFileSync(file, join(folder, 'rvos_core.node'));
  for (const name of ['LICENSE', 'NOTICE']) copyFileSync(join(root, name), join(folder, name));
  writeFileSync(join(folder, 'README.md'), `# ${manifest.name}\n\n${manifest.description}.\n`);
  return pack(folder, destination);
}

async function compiled(target, { progress, yes }) {
  if (target === thisTarget()) {
    await buildCore({ progress });
    return coreFile;
  }
  const { cross, cpu } = targets[target];
  if (!cross)
    throw new SetupError(`${target} is not compiled on ${thisTarget()}. Run npm run package on that platform.`);
  return crossBuildCore(target, { defines: await crossCompiler(cross, { progress, yes }), arch: cpu, progress });
}
