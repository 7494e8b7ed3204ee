// Programs that the tests of the packed package run: a registry, package managers, bundlers. They are no dependencies of the
// clone: installed into build/package-tests when a test first needs them, without scripts.
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npm, quietly, root } from '../run.mjs';

const manifest = readFileSync(join(import.meta.dirname, 'tools.json'), 'utf8');
const { tools } = JSON.parse(manifest);

/** Installs the tools of these names (keys of tools.json); returns the path of a file in one's package. */
export function packageTools(...names) {
  const folder = join(root, 'build', 'package-tests');
  for (const name of names.filter((each) => installed(folder, each) !== tools[each])) {
    const fresh = join(folder, `${name}.fresh`);
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    const { overrides } = JSON.parse(manifest);
    writeFileSync(
      join(fresh, 'package.json'),
      JSON.stringify({ private: true, dependencies: { [name]: tools[name] }, overrides }),
    );
    const options = ['--no-audit', '--no-fund', '--ignore-scripts', '--loglevel=error', '--no-package-lock'];
    const [program, args] = npm(['install', ...options]);
    quietly(`${name} could not be installed`, program, args, { cwd: fresh });
    writeFileSync(join(fresh, 'version'), tools[name]);
    rmSync(join(folder, name), { recursive: true, force: true });
    renameSync(fresh, join(folder, name));
  }
  return (name, file = '') => join(folder, name, 'node_modules', name, file);
}

function installed(folder, name) {
  const stamp = join(folder, name, 'version');
  return existsSync(stamp) ? readFileSync(stamp, 'utf8') : undefined;
}
