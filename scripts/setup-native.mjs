#!/usr/bin/env node
// Makes `rvos build` possible: finds CUDA and TensorRT or TensorRT-RTX, or fetches what is missing from public packages,
// and compiles the addon for each flavour found: build/tensorrt/<flavour>/rvos_tensorrt.node.
//
//   node scripts/setup-native.mjs [options]
//
// --kit                   fetch what is missing into .kit/ (RVOS_KIT: another folder); always so where CI is set
// --cuda DIR              CUDA toolkit; else CUDA_HOME, PATH and the usual places
// --tensorrt DIR          TensorRT; else TENSORRT_ROOT and the usual places
// --tensorrt-rtx DIR      TensorRT-RTX; else TENSORRT_RTX_ROOT and the usual places
// --flavors a,b           only these of tensorrt, tensorrt-rtx, simulated (for tests); they must be there
// --check-headers         compile against every set of headers of the kit too, as a check
// --find                  say what would be used and end; fetches nothing
// --force                 compile in any case
// --yes                   install missing system packages through sudo (as root they are installed in any case)
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { buildAddons } from './native-kit/addons.mjs';
import { kitHeaders } from './native-kit/kit.mjs';
import { headerSets, makePlan } from './native-kit/plan.mjs';
import { root, SetupError } from './run.mjs';

const knownFlavors = ['tensorrt', 'tensorrt-rtx', 'simulated'];
const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => interruption.abort(new Interrupted()));

class Interrupted extends Error {}

try {
  await setUp(readOptions());
} catch (error) {
  if (interruption.signal.aborted) {
    say('interrupted, nothing half-done was left');
    process.exit(130);
  }
  if (!(error instanceof SetupError)) throw error;
  say(error.message);
  process.exit(1);
}

function say(line) {
  process.stderr.write(`setup:native: ${line}\n`);
}

function readOptions() {
  try {
    const text = { type: 'string' };
    const flag = { type: 'boolean', default: false };
    const { values } = parseArgs({
      options: {
        kit: flag,
        cuda: text,
        tensorrt: text,
        'tensorrt-rtx': text,
        flavors: text,
        'check-headers': flag,
        find: flag,
        force: flag,
        yes: flag,
      },
    });
    const only = values.flavors?.split(',');
    const unknown = only?.find((flavor) => !knownFlavors.includes(flavor));
    if (unknown !== undefined) throw new Error(`--flavors: "${unknown}" is none of ${knownFlavors.join(', ')}`);
    return { ...values, only, kit: values.kit || Boolean(process.env.CI) };
  } catch (error) {
    say(`${error.message}. The options are at the top of scripts/setup-native.mjs.`);
    process.exit(2);
  }
}

async function setUp(options) {
  if (process.platform !== 'linux') throw new SetupError('TensorRT is used on Linux only. Use the CPU backend.');
  if (!existsSync(join(root, 'native', 'tensorrt'))) {
    throw new SetupError('native/tensorrt is absent. Reinstall the package.');
  }
  const started = performance.now();
  const { signal } = interruption;
  const fetch = { progress: say, signal, yes: options.yes, dry: options.find };
  const plan = await makePlan({
    named: { cuda: options.cuda, tensorrt: options.tensorrt, 'tensorrt-rtx': options['tensorrt-rtx'] },
    only: options.only,
    kit: options.kit,
    fetch,
  });
  for (const line of plan.lines) say(line);
  if (options.find) return;
  const headers = options['check-headers'] ? await kitHeaders(fetch) : undefined;
  const used = plan.flavors.map(({ include }) => include);
  const sets = headers ? headerSets().map(({ folder }) => join(headers, folder)) : [];
  const checkHeaders = sets.filter((folder) => !used.includes(folder));
  const built = await buildAddons(plan, { checkHeaders, force: options.force, progress: say, signal });
  const names = (flavors) => flavors.map((flavor) => `build/tensorrt/${flavor}/rvos_tensorrt.node`).join(', ');
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  if (built.length > 0) say(`built ${names(built)} in ${seconds} s`);
  else say(`up to date: ${plan.flavors.map(({ flavor }) => flavor).join(', ')}`);
  if (plan.flavors.some(({ flavor }) => flavor !== 'simulated')) say('next: rvos build --model DIR makes the engines');
}
