// One step within its budget of time: whatever it starts is in one process group each, and ends with it.
import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';

/** Thrown by a step that cannot be run here; the message is the reason. */
export class Skipped extends Error {}

/** Thrown by a step that has found something; `facts` go into its line. */
export class Found extends Error {
  constructor(message, facts = {}) {
    super(message);
    this.facts = facts;
  }
}

/** The step's line of output. Never rejects. `budget`: seconds; a step that has none left is skipped. */
export async function runStep(step, context, { budget, signal }) {
  const result = (state, facts) => ({ step: step.name, state, seconds: seconds(), ...facts });
  const started = performance.now();
  const seconds = () => Math.round((performance.now() - started) / 100) / 10;
  const reason = step.unavailable?.(context);
  if (reason) return result('skipped', { reason });
  if (budget < Math.min(step.budget[context.mode], step.least ?? 5)) {
    return result('skipped', { reason: `${Math.max(0, Math.floor(budget))} s are left, too few for it` });
  }
  context.say(`${step.name}: ${step.about} (at most ${Math.ceil(budget)} s) …`);
  const clock = new AbortController();
  const timer = setTimeout(() => clock.abort(), Math.min(budget, 86_400) * 1000);
  const log = createWriteStream(join(context.out, `${step.name}.log`));
  const interrupt = () => clock.abort();
  signal.addEventListener('abort', interrupt, { once: true });
  try {
    const facts = await step.run({
      ...context,
      signal: clock.signal,
      exec: (program, args, options) => exec(program, args, { ...options, log, signal: clock.signal }),
    });
    return result('passed', facts);
  } catch (error) {
    if (signal.aborted) return result('failed', { reason: 'interrupted' });
    if (clock.signal.aborted)
      return result('failed', { reason: `not done within its budget of ${Math.ceil(budget)} s`, ...error.facts });
    if (error instanceof Skipped) return result('skipped', { reason: error.message });
    return result('failed', {
      reason: error instanceof Found ? error.message : String(error?.stack ?? error),
      ...error.facts,
    });
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', interrupt);
    log.end();
  }
}

/**
 * Runs a program; resolves to { status, stdout }. What it says on standard error goes to ours and to the step's log. `lines`:
 * a file for its standard output as it comes; `onLine`: each of its lines.
 */
function exec(program, args, { cwd, env, log, signal, lines, onLine } = {}) {
  return new Promise((done, fail) => {
    signal.throwIfAborted();
    const child = spawn(program, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    const file = lines && createWriteStream(lines);
    let stdout = '';
    let begun = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      file?.write(text);
      const complete = (begun + text).split('\n');
      begun = complete.pop();
      for (const line of complete) onLine?.(line);
    });
    child.stderr.on('data', (text) => {
      process.stderr.write(text);
      log.write(text);
    });
    const kill = (name) => {
      try {
        process.kill(-child.pid, name);
      } catch {}
    };
    let force;
    const stop = () => {
      kill('SIGTERM');
      force = setTimeout(() => kill('SIGKILL'), 3000);
    };
    signal.addEventListener('abort', stop, { once: true });
    child.once('error', (error) => fail(new Error(`${program} cannot be started (${error.message})`)));
    child.once('close', (status, name) => {
      clearTimeout(force);
      signal.removeEventListener('abort', stop);
      file?.end();
      if (signal.aborted) fail(signal.reason);
      else done({ status: status ?? name, stdout });
    });
  });
}
