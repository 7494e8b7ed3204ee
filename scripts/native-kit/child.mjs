// A program run to its end with its output collected; an interruption ends it with all that it has started.
import { spawn } from 'node:child_process';

/**
 * Resolves to { status, text }: exit code (undefined if the program cannot be started or was killed) and what it printed.
 * `onLine`: each line while it runs. Rejects with the signal's reason once everything has ended.
 */
export function runChild(program, args, { signal, onLine, ...options } = {}) {
  return new Promise((resolve, reject) => {
    // A process group of its own: the compilers that it starts can be ended together.
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], detached: true, ...options });
    let text = '';
    let line = '';
    const take = (chunk) => {
      text += chunk;
      const lines = (line + chunk).split(/\r?\n/);
      line = lines.pop();
      for (const complete of lines) onLine?.(complete);
    };
    child.stdout.setEncoding('utf8').on('data', take);
    child.stderr.setEncoding('utf8').on('data', take);
    const kill = (name) => {
      try {
        process.kill(-child.pid, name);
      } catch {}
    };
    let force;
    const stop = () => {
      kill('SIGTERM');
      force = setTimeout(() => kill('SIGKILL'), 1500);
    };
    signal?.addEventListener('abort', stop, { once: true });
    if (signal?.aborted) stop();
    child.once('error', (error) => {
      text += `${error.message}\n`;
    });
    child.once('close', (status) => {
      clearTimeout(force);
      signal?.removeEventListener('abort', stop);
      if (signal?.aborted) return reject(signal.reason);
      resolve({ status: status !== null && status >= 0 ? status : undefined, text });
    });
  });
}
