#!/usr/bin/env node
// The packages with all package managers, by name from a registry of one's own and by path, with nothing of this session's
// environment, as another user, read-only, with an unknown user and without a home. Part of `npm run test:full`.
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root } from '../run.mjs';
import { checkBundlers } from './bundlers.mjs';
import { bareEnvironment, npmSetting, tarballFields } from './by-path.mjs';
import { check, counts, output } from './checks.mjs';
import { emptyProject, packageManagers } from './package-managers.mjs';
import { startRegistry } from './registry.mjs';
import { checkInstalled } from './tarballs.mjs';
import { packageTools } from './tools.mjs';
import { checkTypes } from './types.mjs';
import { useInstalled, writeUses } from './use.mjs';

const folder = mkdtempSync(join(tmpdir(), 'rvos-package-full-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
chmodSync(folder, 0o755);

const packages = JSON.parse(
  await output(process.execPath, [join(root, 'scripts/package.mjs'), '--json', '--out', join(folder, 'packages')]),
);
const { version } = packages.find(({ name }) => name === 'rvos');
const only = process.argv.slice(2).join(' ');
const registryHome = join(folder, 'registry');
const registry = await startRegistry(
  registryHome,
  packages.map(({ file }) => file),
  bareEnvironment(registryHome),
);

for (const [name, manager] of Object.entries(packageManagers)) {
  if (only !== '' && !name.startsWith(only)) continue;
  const env = environment(name);
  const tool = packageTools(...manager.tools);
  const program = manager.program(tool);
  const app = emptyProject(join(folder, `by name ${name}`), registry.url);
  manager.prepare?.(app, registry.url);
  const installed = await check(`${name}: rvos by its name, into an empty project`, () =>
    output(program[0], [...program.slice(1), ...manager.add], { cwd: app, env }),
  );
  if (installed) await uses(`${name}: runs`, app, manager, program, env);
  if (name === 'npm 11' && installed) {
    await strangers(app, manager, program, env);
    await checkTypes(app, env, {
      compiler: packageTools('typescript52')('typescript52'),
      title: 'TypeScript 5.2: ',
    });
    await checkBundlers(app, env);
  }
}
for (const name of ['npm 11', 'pnpm 9', 'yarn 1']) {
  if (only !== '' && !name.startsWith(only)) continue;
  const manager = packageManagers[name];
  const env = environment(name);
  const program = manager.program(packageTools(...manager.tools));
  const fields = tarballFields(packages, manager);
  // No registry knows the platform packages then.
  const app = emptyProject(join(folder, `by path ${name}`), await npmSetting('registry', root), fields);
  const installed = await check(`${name}: all of build/packages/ by path`, () =>
    output(program[0], [...program.slice(1), ...manager.install], { cwd: app, env }),
  );
  if (installed) await uses(`${name}: runs, by path`, app, manager, program, env);
}
registry.stop();
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
process.exit(counts.failed === 0 ? 0 : 1);

/** A home of its own for a package manager: its cache and store are there. */
function environment(name) {
  const home = join(folder, 'homes', name.replace(/\W/g, ''));
  mkdirSync(home, { recursive: true });
  return bareEnvironment(home, { COREPACK_ENABLE_STRICT: '0' });
}

async function uses(title, app, manager, program, env) {
  writeUses(app);
  await check(`${title}, in its budget`, async () => {
    // Plug'n'Play keeps the rest as archives, in its cache.
    if (!manager.unplugged) checkInstalled(join(app, 'node_modules'));
    await useInstalled(app, { ...running(app, manager, program), env, version });
  });
}

function running(app, manager, program) {
  const [rvos, ...first] = manager.command(program);
  return {
    node: (script, options) => {
      const [run, args] = manager.node(script, program);
      return output(run, args, { cwd: app, ...options });
    },
    command: [rvos, ...first],
    requires: manager.requires,
  };
}

/** Users who own nothing of the installation. */
async function strangers(app, manager, program, env) {
  const where = { ...running(app, manager, program), version };
  const readOnly = (mode) => {
    for (const entry of readdirSync(join(app, 'node_modules'), { recursive: true, withFileTypes: true })) {
      const path = join(entry.parentPath ?? entry.path, entry.name);
      if (!entry.isSymbolicLink()) chmodSync(path, (lstatSync(path).mode & 0o777 & ~0o222) | mode);
    }
  };
  readOnly(0);
  if (process.getuid?.() !== 0) {
    await check('a read-only node_modules', () => useInstalled(app, { ...where, env }));
  } else {
    const home = join(folder, 'homes', 'nobody');
    mkdirSync(home, { recursive: true });
    chownSync(home, 65_534, 65_534);
    const nobody = { uid: 65_534, gid: 65_534 };
    await check('another user, with a read-only node_modules', () =>
      useInstalled(app, { ...where, env: { ...env, HOME: home }, ...nobody }),
    );
    const { HOME: _, ...homeless } = env;
    await check('a user that the system does not know, without a home', () =>
      useInstalled(app, { ...where, env: homeless, uid: 54_321, gid: 54_321 }),
    );
  }
  readOnly(0o200);
}
