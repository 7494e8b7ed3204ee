// rvos-onnxruntime-<platform>: the CPU part of onnxruntime-node with its JavaScript. onnxruntime-node itself carries all
// platforms (288 MB), and its install script fetches GPU libraries from elsewhere that rvos does not use.
import { copyFileSync, cpSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, SetupError } from '../run.mjs';
import { pack, platformManifest, writeManifest } from './tarball.mjs';
import { targets } from './targets.mjs';

/** Platforms that it is packed for; others take onnxruntime-node itself. */
export const onnxRuntimeTargets = ['linux-x64'];

const library = join(root, 'node_modules', 'onnxruntime-node');
const common = join(root, 'node_modules', 'onnxruntime-common');

export function packOnnxRuntime(target, stage, destination) {
  const { version, license } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));
  const manifest = platformManifest('onnxruntime', target, {
    description: `ONNX Runtime ${version} for the CPU of ${target}; rvos installs it where it fits`,
    license,
    main: './dist/index.js',
  });
  const folder = join(stage, manifest.name);
  writeManifest(folder, manifest);
  const { os, cpu } = targets[target];
  const binaries = join('bin', 'napi-v6', os, cpu);
  cpSync(join(library, binaries), join(folder, binaries), { recursive: true });
  copyJavaScript(join(common, 'dist', 'cjs'), join(folder, 'common'));
  const changed = copyJavaScript(join(library, 'dist'), join(folder, 'dist'), (text) =>
    text.replaceAll(`require("onnxruntime-common")`, `require("../common/index.js")`),
  );
  if (changed === 0) throw new SetupError('onnxruntime-node no longer asks for onnxruntime-common as it did.');
  // npm's package brings neither; these are of the same version's Python package.
  const texts = join(root, 'scripts', 'packaging', `onnxruntime-${version}`);
  if (!existsSync(texts)) throw new SetupError(`the licence texts of ONNX Runtime ${version} are not in ${texts}.`);
  for (const name of readdirSync(texts)) copyFileSync(join(texts, name), join(folder, name));
  writeFileSync(
    join(folder, 'README.md'),
    `# ${manifest.name}\n\n${manifest.description}. Made from the npm packages
onnxruntime-node and onnxruntime-common ${version} by Microsoft (MIT, LICENSE; ThirdPartyNotices.txt): their libraries and
JavaScript for this platform, without the install script. dist/ asks for common/ by its path.\n`,
  );
  return pack(folder, destination);
}

/** Copies the .js files of a folder through `edit`; returns how many it changed. */
function copyJavaScript(from, to, edit = (text) => text) {
  mkdirSync(to, { recursive: true });
  let changed = 0;
  for (const name of readdirSync(from).filter((file) => file.endsWith('.js'))) {
    const text = readFileSync(join(from, name), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
    const edited = edit(text);
    if (edited !== text) changed++;
    writeFileSync(join(to, name), edited);
  }
  return changed;
}
