import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;

/** `rvos serve` as a process of its own, listening. */
export async function serve(data: string, ...options: string[]) {
  const args = [entry, 'serve', '--port', '0', '--data', data, '--min-free-disk', '0B', '--threads', '1', ...options];
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const told = { out: '', err: '' };
  child.stdout.on('data', (chunk) => {
    told.out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    told.err += chunk;
  });
  const ended = once(child, 'exit').then(([code, signal]) => code ?? signal);
  let address: string | undefined;
  while (child.exitCode === null && !address) {
    address = / at (http:\S+)/.exec(told.err)?.[1];
    if (!address) await sleep(20);
  }
  return {
    ...{ address, child, told, ended },
    fetch: (path: string, init: RequestInit = {}) => fetch(`${address}${path}`, init),
    /** Sends the signal; resolves with how the process ended. */
    kill: (signal: NodeJS.Signals) => {
      child.kill(signal);
      return ended;
    },
  };
}
