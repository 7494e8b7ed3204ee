#!/usr/bin/env node
// `npm run package`: makes the packages as they would be published. This platform's tarballs land in build/packages/: the
// main package, and those that carry what is compiled, each an optional dependency of the main package.
//
//   node scripts/package.mjs [options]
//
// --target NAME   also the native core for linux-arm64, linuxmusl-x64 or linuxmusl-arm64, in build/packages/NAME/; again
//                 for each. The main package then names it as well
// --out FOLDER    instead of build/packages
// --yes           install missing system packages through sudo (as root they are installed in any case)
// --json          print what was made as one JSON value
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { packCore } from './packaging/core-package.mjs';
import { packMain } from './packaging/main-package.mjs';
import { onnxRuntimeTargets, packOnnxRuntime } from './packaging/onnxruntime-package.mjs';
import { kitOpenVino, openVinoTargets, packOpenVino } from './packaging/openvino-package.mjs';
import { targets, thisTarget } from './packaging/targets.mjs';
import { exitWith, quietly, root, SetupError } from './run.mjs';

const say = (line) => process.stderr.write(`package: ${line}\n`);

try {
  const { out, json, ...options } = readOptions();
  quietly('rvos could not be built', process.execPath, [join(root, 'scripts', 'build-typescript.mjs')]);
  mkdirSync(join(root, 'build'), { recursive: true });
  const stage = mkdtempSync(join(root, 'build', 'packing-'));
  process.once('exit', () => rmSync(stage, { recursive: true, force: true }));
  const made = await packAll(stage, options);
  const placed = made.map(({ folder, file, ...rest }) => ({ ...rest, file: join(out, folder, basename(file)) }));
  for (const folder of new Set(made.map((each) => join(out, each.folder)))) removeTarballs(folder);
  for (const [i, { file }] of made.entries()) renameSync(file, placed[i].file);
  if (json) process.stdout.write(`${JSON.stringify(placed)}\n`);
  else for (const { file, size } of placed) say(`${relative(root, file)}, ${(size / 1e6).toFixed(1)} MB`);
} catch (error) {
  exitWith(error);
}

function readOptions() {
  try {
    const { values } = parseArgs({
      options: {
        target: { type: 'string', multiple: true, default: [] },
        out: { type: 'string', default: join(root, 'build', 'packages') },
        yes: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const unknown = values.target.find((name) => !Object.hasOwn(targets, name));
    if (unknown) throw new Error(`--target: "${unknown}" is none of ${Object.keys(targets).join(', ')}`);
    return { ...values, out: resolve(values.out) };
  } catch (error) {
    throw new SetupError(`package: ${error.message}. The options are at the top of scripts/package.mjs.`);
  }
}

/** Each tarball in the stage with the folder that it belongs in; the main package, which names the others, last. */
async function packAll(stage, { target: others, yes }) {
  const here = thisTarget();
  const made = [];
  for (const target of new Set([here, ...others])) {
    const folder = target === here ? '.' : target;
    const packed = join(stage, 'packed', target);
    const add = (tarball) => made.push({ ...tarball, folder });
    add(await packCore(target, stage, packed, { progress: say, yes }));
    if (onnxRuntimeTargets.includes(target)) add(packOnnxRuntime(target, stage, packed));
    if (openVinoTargets.includes(target)) {
      if (kitOpenVino()) add(packOpenVino(target, stage, packed));
      else say('no OpenVINO in the kit, so no package of it (npm run setup:native -- --openvino)');
    }
  }
  return [...made, { ...packMain(stage, join(stage, 'packed', here), made), folder: '.' }];
}

/** Tarballs of other versions are not left beside the new ones. */
function removeTarballs(folder) {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder)) {
    if (name.endsWith('.tgz') && existsSync(join(folder, name))) rmSync(join(folder, name));
  }
}
