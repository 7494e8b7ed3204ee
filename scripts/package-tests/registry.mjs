// A registry of one's own that knows the packages before they are published; all others it fetches from the registry that npm
// is set to.
import { spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { npm, root } from '../run.mjs';
import { npmSetting } from './by-path.mjs';
import { output } from './checks.mjs';
import { packageTools } from './tools.mjs';

/** Starts a registry on this machine's loopback and publishes the tarballs there: { url, stop }. */
export async function startRegistry(folder, tarballs, env) {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}/`;
  mkdirSync(folder, { recursive: true });
  const config = {
    storage: join(folder, 'storage'),
    uplinks: { upstream: { url: await npmSetting('registry', root), timeout: '120s', max_fails: 20 } },
    packages: {
      'rvos{,-*}': { access: '$all', publish: '$all' },
      '**': { access: '$all', proxy: 'upstream' },
    },
    max_body_size: '200mb',
    log: { type: 'stdout', format: 'pretty', level: 'error' },
  };
  // JSON is YAML.
  writeFileSync(join(folder, 'config.yaml'), JSON.stringify(config));
  const program = packageTools('verdaccio')('verdaccio', 'bin/verdaccio');
  const args = [program, '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`];
  const server = spawn(process.execPath, args, { cwd: folder, stdio: 'ignore', env });
  const stop = () => server.kill('SIGKILL');
  process.once('exit', stop);
  for (let tries = 0; !(await answers(url)); tries++) {
    if (tries > 300 || server.exitCode !== null) throw new Error('verdaccio does not start');
    await sleep(100);
  }
  // npm asks for a token; this registry takes any.
  writeFileSync(join(folder, '.npmrc'), `//127.0.0.1:${port}/:_authToken=any\nregistry=${url}\n`);
  for (const tarball of tarballs) {
    const [npmProgram, npmArgs] = npm(['publish', tarball, '--userconfig', join(folder, '.npmrc'), '--ignore-scripts']);
    await output(npmProgram, npmArgs, { cwd: folder, env });
  }
  return { url, stop };
}

async function answers(url) {
  try {
    return (await fetch(`${url}-/ping`)).ok;
  } catch {
    return false;
  }
}

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
