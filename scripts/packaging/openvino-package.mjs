// rvos-openvino-linux-x64: OpenVINO's CPU plugin with what it takes, from the kit (npm run setup:native -- --openvino).
import { cpSync, existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { kitFolder } from '../native-kit/places.mjs';
import { pack, platformManifest, writeManifest } from './tarball.mjs';

export const openVinoTargets = ['linux-x64'];

/** The kit's OpenVINO as { folder, version }; undefined if there is none. */
export function kitOpenVino() {
  const names = existsSync(kitFolder) ? readdirSync(kitFolder) : [];
  const name = names
    .filter((each) => /^openvino-\d/.test(each))
    .sort()
    .at(-1);
  return name && { folder: join(kitFolder, name), version: name.slice('openvino-'.length) };
}

export function packOpenVino(target, stage, destination) {
  const { folder: kit, version } = kitOpenVino();
  const manifest = platformManifest('openvino', target, {
    description: `OpenVINO ${version} for the CPU of ${target}; rvos installs it where it fits`,
    license: 'Apache-2.0',
  });
  const folder = join(stage, manifest.name);
  writeManifest(folder, manifest);
  cpSync(kit, folder, { recursive: true, filter: (file) => file === kit || !/\/include(\/|$)/.test(file) });
  writeFileSync(join(folder, 'README.md'), `# ${manifest.name}\n\n${manifest.description}. By Intel (Apache-2.0).\n`);
  return pack(folder, destination);
}
