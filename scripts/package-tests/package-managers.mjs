// The package managers that rvos is installed with, by name from a registry and by path from build/packages/.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeApp } from './use.mjs';

const npmFlags = ['--no-audit', '--no-fund', '--no-ignore-scripts', '--loglevel=error'];
const plain = {
  node: (script) => [process.execPath, [script]],
  command: () => [process.execPath, 'node_modules/rvos/dist/cli/main.js'],
};

/**
 * Each with `tools` (of tools.json), `add(tool)`: program and arguments that install `rvos` by name, `install`: those that
 * install what the manifest names, and how scripts run there if not by plain Node.
 */
export const packageManagers = {
  'npm 10': npm('npm10'),
  'npm 11': npm('npm11'),
  'npm 12': {
    ...npm('npm12'),
    tools: ['npm12', 'node22'],
    // It needs Node 22.22 or newer.
    program: (tool) => [tool('node22', 'bin/node'), tool('npm12', 'bin/npm-cli.js')],
  },
  'pnpm 9': pnpm('pnpm9'),
  'pnpm 10': pnpm('pnpm10'),
  'yarn 1': {
    tools: ['yarn1', 'node22'],
    // It ends where a dependency of a dependency wants a newer Node (cookie 2 of fastify 5: 22); others warn.
    program: (tool) => [tool('node22', 'bin/node'), tool('yarn1', 'bin/yarn.js')],
    add: ['add', 'rvos', '--non-interactive'],
    install: ['install', '--non-interactive'],
    resolutions: true,
    ...plain,
  },
  'yarn 4, node_modules': yarn4('node-modules', plain),
  'yarn 4, Plug’n’Play': yarn4('pnp', {
    node: (script, program) => [program[0], [program[1], 'node', script]],
    command: (program) => [...program, 'rvos'],
    unplugged: true,
    // Its loader is not asked where Node 20 requires an ES module: CommonJS imports there (docs/sdk.md).
    requires: false,
  }),
};

function npm(name) {
  return {
    tools: [name],
    program: (tool) => [process.execPath, tool(name, 'bin/npm-cli.js')],
    add: ['install', 'rvos', ...npmFlags],
    install: ['install', ...npmFlags],
    ...plain,
  };
}

function pnpm(name) {
  return {
    tools: [name],
    program: (tool) => [process.execPath, tool(name, 'bin/pnpm.cjs')],
    add: ['add', 'rvos'],
    install: ['install', '--no-frozen-lockfile'],
    ...plain,
  };
}

function yarn4(linker, rest) {
  return {
    tools: ['yarn4'],
    program: (tool) => [process.execPath, tool('yarn4', 'bin/yarn.js')],
    add: ['add', 'rvos'],
    install: ['install'],
    prepare: (app, registry) =>
      writeFileSync(
        join(app, '.yarnrc.yml'),
        [
          `nodeLinker: ${linker}`,
          'enableTelemetry: false',
          'enableImmutableInstalls: false',
          // It would wait a day before it takes what was published a minute ago.
          'npmMinimalAgeGate: 0',
          `npmRegistryServer: "${registry}"`,
          'unsafeHttpWhitelist: ["127.0.0.1"]',
          '',
        ].join('\n'),
      ),
    ...rest,
  };
}

/** An empty project whose package managers all ask `registry`. */
export function emptyProject(folder, registry, fields) {
  const app = makeApp(folder, fields);
  writeFileSync(join(app, '.npmrc'), `registry=${registry}\n`);
  writeFileSync(join(app, '.yarnrc'), `registry "${registry}"\n`);
  return app;
}
