// Installing all tarballs of build/packages/ by path, as somebody does who has them and no registry that knows them.
import { npm } from '../run.mjs';
import { output } from './checks.mjs';

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
 * The fields of a manifest that name all tarballs. yarn 1 looks optional dependencies of a dependency up in the registry
 * unless `resolutions` names them too.
 */
export function tarballFields(packages, { resolutions = false } = {}) {
  const files = Object.fromEntries(packages.map(({ name, file }) => [name, `file:${file}`]));
  return { dependencies: files, ...(resolutions && { resolutions: files }) };
}
