// The whole set-up of TensorRT: what will be used, the kit where something is missing and that is allowed, the addons.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, SetupError } from '../run.mjs';
import { addonFile, buildAddons } from './addons.mjs';
import { kitHeaders } from './kit.mjs';
import { shown } from './places.mjs';
import { headerSets, makePlan } from './plan.mjs';

/**
 * Options: folders `cuda`, `tensorrt`, `tensorrt-rtx`; `only`: flavours that must be there; `kit`: fetch what is missing;
 * `headers-only`: TensorRT's own library may be elsewhere; `check-headers`, `find` (only say what would be used), `force`, `yes`; `progress` takes lines, `signal` ends it.
 */
export async function setUpTensorRt({ progress, signal, ...options }) {
  if (process.platform !== 'linux') throw new SetupError('TensorRT is used on Linux only. Use the CPU backend.');
  if (!existsSync(join(root, 'native', 'tensorrt'))) {
    throw new SetupError('native/tensorrt is absent. Reinstall the package.');
  }
  const started = performance.now();
  const fetch = { progress, signal, yes: options.yes, dry: options.find };
  const plan = await makePlan({
    named: { cuda: options.cuda, tensorrt: options.tensorrt, 'tensorrt-rtx': options['tensorrt-rtx'] },
    only: options.only,
    kit: options.kit,
    headersOnly: options['headers-only'],
    fetch,
  });
  for (const line of plan.lines) progress(line);
  if (options.find) return;
  const headers = options['check-headers'] ? await kitHeaders(fetch) : undefined;
  const used = plan.flavors.map(({ include }) => include);
  const sets = headers ? headerSets().map(({ folder }) => join(headers, folder)) : [];
  const checkHeaders = sets.filter((folder) => !used.includes(folder));
  const built = await buildAddons(plan, { checkHeaders, force: options.force, progress, signal });
  const names = (flavors) => flavors.map((flavor) => shown(addonFile(flavor))).join(', ');
  const seconds = ((performance.now() - started) / 1000).toFixed(0);
  if (built.length > 0) progress(`built ${names(built)} in ${seconds} s`);
  else progress(`up to date: ${plan.flavors.map(({ flavor }) => flavor).join(', ')}`);
  if (plan.flavors.some(({ flavor }) => flavor !== 'simulated'))
    progress('next: rvos build --model DIR makes the engines');
}
