// Runs the steps of the first day, most telling first. One JSON object a line on standard output, each when its step has ended:
// { step, state: passed|failed|skipped, seconds, … }; logs on standard error; files in the folder for results. A failure
// does not end the run. What has passed is not run again by the next call. Exit code 0: no step failed.
//
//   run.sh [--simulated] [--steps a,b] [--again] [--seconds N] [--device 0] [--out DIR] [--list] [--work DIR]
//
// --simulated   a short form of every step on the simulated device, which needs no GPU (golden and compact networks alone)
// --steps a,b   only these
// --again       also those that have passed before
// --seconds N   begin no step that cannot end within so many seconds from now; its budget is cut to what is left
// --device N    which GPU (0)
// --out DIR     files of results (default: $OUT, else results/ in the current folder)
// --list        the steps with their budgets, and end
import { mkdirSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { Ledger } from './ledger.mjs';
import { runStep } from './run-step.mjs';
import { steps } from './steps.mjs';
import { findTensorRt } from './tensorrt.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const options = readOptions();
const mode = options.simulated ? 'simulated' : 'real';
if (options.list) {
  for (const { name, about, budget } of steps)
    process.stdout.write(`${name.padEnd(18)} ${String(budget[mode]).padStart(4)} s  ${about}\n`);
  process.exit(0);
}

const ending = new AbortController();
const codes = { SIGHUP: 129, SIGINT: 130, SIGTERM: 143 };
let signalled;
for (const name of Object.keys(codes)) {
  process.once(name, () => {
    signalled = name;
    ending.abort();
  });
}

mkdirSync(options.out, { recursive: true });
const say = (line) => process.stderr.write(`run.sh: ${line}\n`);
const ledger = new Ledger(join(options.work, `passed-${mode}.json`), root);
const context = {
  root,
  mode,
  simulated: options.simulated,
  device: options.device,
  work: options.work,
  out: options.out,
  say,
  tensorRt: options.simulated ? undefined : await findTensorRt({ root, parts: options.parts, work: options.work, say }),
};
const until = options.seconds === undefined ? Number.POSITIVE_INFINITY : performance.now() + options.seconds * 1000;
let failed = false;
for (const step of steps) {
  if (signalled) break;
  if (options.steps && !options.steps.includes(step.name)) continue;
  const earlier = options.again ? undefined : ledger.passed(step.name);
  if (earlier) {
    say(`${step.name}: passed before; --again runs it anew`);
    print({ ...earlier, before: true });
    continue;
  }
  const left = (until - performance.now()) / 1000;
  const result = await runStep(step, context, { budget: Math.min(step.budget[mode], left), signal: ending.signal });
  if (result.state === 'passed') ledger.add(result);
  if (result.state === 'failed') failed = true;
  print(result);
}
process.exitCode = signalled ? codes[signalled] : failed ? 1 : 0;

/** Flushed: whoever reads along sees it at once, also through a pipe. */
function print(result) {
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

function readOptions() {
  try {
    const flag = { type: 'boolean', default: false };
    const text = { type: 'string' };
    const { values } = parseArgs({
      options: {
        simulated: flag,
        again: flag,
        list: flag,
        help: { ...flag, short: 'h' },
        steps: text,
        seconds: text,
        device: { ...text, default: '0' },
        out: { ...text, default: process.env.OUT || 'results' },
        parts: text,
        work: text,
      },
    });
    if (values.help) {
      const [text] = /^(\/\/.*\n)+/.exec(readFileSync(fileURLToPath(import.meta.url), 'utf8'));
      process.stdout.write(text.replace(/^\/\/ ?/gm, ''));
      process.exit(0);
    }
    const names = values.steps?.split(',').map((name) => name.trim());
    const unknown = names?.find((name) => !steps.some((step) => step.name === name));
    if (unknown !== undefined)
      throw new Error(`--steps: "${unknown}" is none of ${steps.map(({ name }) => name).join(', ')}`);
    const seconds = values.seconds === undefined ? undefined : Number(values.seconds);
    if (seconds !== undefined && !(seconds > 0)) throw new Error(`--seconds: "${values.seconds}" is no number above 0`);
    const device = Number(values.device);
    if (!Number.isInteger(device) || device < 0) throw new Error(`--device: "${values.device}" is no index of a GPU`);
    const work = resolve(values.work ?? 'work');
    return {
      ...values,
      steps: names,
      seconds,
      device,
      out: resolve(values.out),
      work,
      parts: resolve(values.parts ?? '.'),
    };
  } catch (error) {
    process.stderr.write(`run.sh: ${error.message} (run.sh --help)\n`);
    process.exit(2);
  }
}
