// Running other programs from the scripts that prepare and test this checkout. Node's own modules only: these scripts
// run before any npm package is installed.
import { spawnSync } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The root of the checkout. */
export const root = join(dirname(fileURLToPath(import.meta.url)), '..');

/** A failure with a remedy: what is printed is these lines, without a stack. */
export class SetupError extends Error {}

/** Whether a program can be started and ends well. */
export function works(program, args = ['--version']) {
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0;
}

/** What a program prints, standard output and error together; undefined if it cannot be started or fails. */
export function output(program, args, options = {}) {
  const run = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  return run.status === 0 ? `${run.stdout ?? ''}${run.stderr ?? ''}` : undefined;
}

/** Runs a program silently; when it fails, shows what it had printed and throws SetupError with `what`. */
export function quietly(what, program, args, options = {}) {
  const run = spawnSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  if (run.status === 0) return;
  process.stderr.write(`${run.stdout ?? ''}${run.stderr ?? ''}`);
  const reason = run.error ? `${program} cannot be started` : `exit code ${run.status ?? run.signal}`;
  throw new SetupError(`${what} (${reason}); the command was: ${[program, ...args].join(' ')}`);
}

/** npm's own program, the one that runs this script if one does. */
export function npm(args) {
  const script = process.env.npm_execpath;
  return script?.endsWith('.js') ? [process.execPath, [script, ...args]] : ['npm', args];
}

/** Ends the script for a failure: SetupError as plain lines, anything else with its stack. */
export function exitWith(error) {
  process.stderr.write(`${error instanceof SetupError ? error.message : (error.stack ?? error)}\n`);
  process.exit(1);
}
