// Counting what holds and what does not, and running the programs that show it.
import { spawn } from 'node:child_process';

/** Results of all checks of this process. */
export const counts = { passed: 0, failed: 0 };

/** Runs `action`; what it throws is printed and counted. Resolves to what it returns, undefined if it failed. */
export async function check(name, action) {
  const started = performance.now();
  try {
    const result = await action();
    counts.passed++;
    process.stdout.write(`   ✓ ${name} (${((performance.now() - started) / 1000).toFixed(1)} s)\n`);
    return result ?? true;
  } catch (error) {
    counts.failed++;
    process.stdout.write(`   ✗ ${name}: ${error.message}\n`);
    return undefined;
  }
}

/** Throws unless it holds. */
export function expect(holds, message) {
  if (!holds) throw new Error(message);
}

/** Resolves to { status, stdout, stderr } of a program. */
export function run(program, args, options = {}) {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text) => {
      stderr += text;
    });
    child.once('error', (error) => resolve({ status: null, stdout, stderr: `${stderr}${error.message}` }));
    child.once('close', (status) => resolve({ status, stdout, stderr }));
  });
}

/** What a program prints on standard output; throws with all it printed unless it ends well. */
export async function output(program, args, options) {
  const { status, stdout, stderr } = await run(program, args, options);
  if (status === 0) return stdout;
  const said = `${stdout}${stderr}`.trim().split('\n').slice(-12).join('\n');
  throw new Error(`${[program, ...args].join(' ').slice(0, 200)} ended with ${status}\n${said}`);
}
