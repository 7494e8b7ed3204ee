import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

export const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;

/** `rvos serve` as a process of its own, listening. */
export async function serve(data: string, ...options: string[]) {
  const args = ['serve', '--port', '0', '--data', data, '--min-free-disk', '0B', '--threads', '1', ...options];
  const started = await start(args, / at (http:\S+)/);
  return { ...started, fetch: (path: string, init: RequestInit = {}) => fetch(`${started.address}${path}`, init) };
}

/** `rvos worker` as a process of its own, taking jobs. */
export function work(redis: string, results: string, ...options: string[]) {
  const args = ['--redis', redis, '--results', results, '--min-free-disk', '0B', '--threads', '1'];
  return start(['worker', ...args, ...options], /(working with)/);
}

/** Resolves when the process tells that it is ready, or has ended. */
async function start(args: readonly string[], ready: RegExp) {
  const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
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
    address = ready.exec(told.err)?.[1];
    if (!address) await sleep(20);
  }
  return {
    ...{ address, child, told, ended },
    /** Sends the signal; resolves with how the process ended. */
    kill: (signal: NodeJS.Signals) => {
      child.kill(signal);
      return ended;
    },
  };
}
