// The npm packages that compile addons. A clone has them in node_modules; for an installed package, whose users need them
// for nothing else, they are fetched into the kit, in the versions that its manifest names.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { npm, root, SetupError } from '../run.mjs';
import { runChild } from './child.mjs';
import { isInstalled, kitFolder } from './places.mjs';

const names = ['cmake-js', 'node-addon-api', 'node-api-headers'];

const { devDependencies } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));

/** `name@version` of each: a binary depends on them. */
export const toolVersions = names.map((name) => `${name}@${devDependencies[name]}`);

/** Folder that has them in its node_modules. Throws SetupError where a clone lacks them. */
export async function toolsFolder({ progress, signal } = {}) {
  if (names.every((name) => packageFolder(root, name))) return root;
  if (!isInstalled) {
    const absent = names.filter((name) => !packageFolder(root, name));
    throw new SetupError(`${absent.join(', ')} not installed. Run npm ci.`);
  }
  const digest = createHash('sha256').update(toolVersions.join(' ')).digest('hex').slice(0, 8);
  const place = join(kitFolder, `build-tools-${digest}`);
  if (!existsSync(place)) await fetchTools(place, progress, signal);
  return place;
}

/** Folder of a package as a module in `folder` would find it; undefined if it does not. */
export function packageFolder(folder, name) {
  try {
    return dirname(createRequire(join(folder, 'package.json')).resolve(`${name}/package.json`));
  } catch {
    return undefined;
  }
}

async function fetchTools(place, progress, signal) {
  const partial = join(kitFolder, `partial-${process.pid}-build-tools`);
  mkdirSync(partial, { recursive: true });
  try {
    progress?.(`fetching ${toolVersions.join(', ')} with npm…`);
    writeFileSync(join(partial, 'package.json'), '{ "private": true }\n');
    const options = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
    const [program, args] = npm(['install', ...options, ...toolVersions]);
    const { status, text } = await runChild(program, args, { cwd: partial, signal });
    if (status !== 0) {
      const told = text.split('\n').find((line) => /npm error|ENOENT/.test(line)) ?? `exit code ${status}`;
      throw new SetupError(`the build tools could not be fetched with npm: ${told.trim()}. Check npm and the network.`);
    }
    renameSync(partial, place);
  } catch (error) {
    // Another set-up at the same time was faster.
    if (!existsSync(place)) throw error;
  } finally {
    rmSync(partial, { recursive: true, force: true });
  }
}
