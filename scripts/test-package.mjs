#!/usr/bin/env node
// Makes the packages as they would be published, looks into them, installs them in an empty project with scripts allowed,
// and uses rvos from there. Ends with "N passed, N failed". `npm run test:full` does the same with all package managers and
// a registry of its own (scripts/package-tests/full.mjs).
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { bareEnvironment, installWithNpm, npmSetting } from './package-tests/by-path.mjs';
import { check, counts, expect, output } from './package-tests/checks.mjs';
import { checkInstalled, checkTarballs } from './package-tests/tarballs.mjs';
import { checkTypes } from './package-tests/types.mjs';
import { makeApp, useInstalled, writeUses } from './package-tests/use.mjs';
import { root } from './run.mjs';

const folder = mkdtempSync(join(tmpdir(), 'rvos-package-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

const packages = await check('packages are made', async () => {
  const script = join(root, 'scripts', 'package.mjs');
  return JSON.parse(await output(process.execPath, [script, '--json', '--out', join(folder, 'packages')]));
});
if (packages) {
  await checkTarballs(packages);
  const home = join(folder, 'home');
  mkdirSync(home);
  const env = bareEnvironment(home, {
    npm_config_registry: await npmSetting('registry', root),
    npm_config_cache: await npmSetting('cache', root),
  });
  const app = makeApp(join(folder, 'app'), { type: 'module' });
  const files = packages.map(({ file }) => file);
  await check("the container's script installs a server and its worker in an empty folder", async () => {
    const place = join(folder, 'container');
    const bin = join(folder, 'bin');
    for (const path of [place, bin]) mkdirSync(path);
    for (const file of [...files, join(root, 'deploy', 'install.sh')]) copyFileSync(file, join(place, basename(file)));
    await output('sh', ['install.sh'], { cwd: place, env: { ...env, RVOS_BIN: bin } });
    // It gets as far as Redis, which is not there.
    const args = ['worker', '--redis', 'redis://127.0.0.1:9', '--results', join(folder, 'results')];
    const told = await output(join(bin, 'rvos'), args, { env: { ...env, RVOS_HOME: join(folder, 'cache') } }).then(
      () => '',
      (error) => String(error.message),
    );
    expect(/Redis at redis:\S+ does not answer/.test(told), `rvos worker told ${told}`);
  });
  if (await check('npm installs all of them by path, scripts allowed', () => installWithNpm(app, files, env))) {
    await check('the installation keeps its budget', () => {
      checkInstalled(join(app, 'node_modules'));
    });
    writeUses(app);
    const { version } = packages.find(({ name }) => name === 'rvos');
    const node = (script, options) => output(process.execPath, [script], options);
    const command = [process.execPath, join(app, 'node_modules', 'rvos', 'dist', 'cli', 'main.js')];
    await check('command line, ES module and CommonJS', () => useInstalled(app, { node, command, env, version }));
    await check('rvos setup starts', async () => {
      const options = { cwd: app, env: { ...env, RVOS_HOME: join(folder, 'cache') } };
      const [program, ...first] = command;
      const advice = await output(program, [...first, 'setup', 'openvino'], options);
      expect(/rvos-openvino-linux-x64/.test(advice), `rvos setup openvino printed ${advice}`);
      await output(program, [...first, 'setup', 'tensorrt', '--find'], options);
    });
    await check('a worker says what it needs beside', async () => {
      const args = [...command.slice(1), 'worker', '--redis', 'redis://127.0.0.1:9', '--results', join(folder, 'none')];
      const told = await output(command[0], args, { env: { ...env, RVOS_HOME: join(folder, 'cache') } }).then(
        () => '',
        (error) => String(error.message),
      );
      expect(told.includes('npm install bullmq ioredis'), `rvos worker told ${told}`);
    });
    await checkTypes(app, env);
  }
}
process.stdout.write(`${counts.passed} passed, ${counts.failed} failed\n`);
process.exit(counts.failed === 0 ? 0 : 1);
