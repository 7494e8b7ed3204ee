// Installing all tarballs of build/packages/ by path, as somebody does who has them and no registry that knows them.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { npm } from '../run.mjs';
import { output } from './checks.mjs';
import { makeApp, readJson } from './use.mjs';

/** npm's environment without this session's: the registry and the certificates that reach it, and an empty home. */
export function bareEnvironment(home, more = {}) {
  const kept = /^(NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|https?_proxy|no_proxy)$/i;
  const inherited = Object.entries(process.env).filter(([name]) => kept.test(name));
  return { ...Object.fromEntries(inherited), PATH: process.env.PATH, HOME: home, ...more };
}

/** The setting of npm as this machine has it. */
export async function npmSetting(name, folder) {
  const [program, args] = npm(['config', 'get', name]);
  return (await output(program, args, { cwd: folder })).trim();
}

/** Scripts are allowed: there are none that do anything. */
export async function installWithNpm(app, tarballs, env) {
  const [program, args] = npm([
    'install',
    '--prefer-offline',
    '--no-audit',
    '--no-fund',
    '--no-ignore-scripts',
    ...tarballs,
  ]);
  await output(program, args, { cwd: app, env });
}

/**
 * A project whose manifest names all tarballs. yarn 1 looks optional dependencies of a dependency up in the registry
 * unless `resolutions` names them too.
 */
export function makeAppWithTarballs(folder, packages, { resolutions = false } = {}) {
  const files = Object.fromEntries(packages.map(({ name, file }) => [name, `file:${file}`]));
  const app = makeApp(folder, { dependencies: files, ...(resolutions && { resolutions: files }) });
  return app;
}

/** A project for TypeScript and bundlers beside those that only run. */
export function writeModuleType(app, type) {
  const file = join(app, 'package.json');
  writeFileSync(file, `${JSON.stringify({ ...readJson(file), type }, null, 2)}\n`);
}
