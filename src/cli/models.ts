import type { Command } from 'commander';
import { formatRoughly } from '../byte-size.js';
import { RvosError } from '../errors.js';
import { openModelFolder } from '../model/model-folder.js';
import { knownModels } from '../pull/known-models.js';
import { type PulledModel, pulledModels, removePulledModel } from '../pull/pulled-models.js';
import { interruption } from './interruption.js';
import { print } from './standard-output.js';

interface JsonOption {
  readonly json?: boolean;
}

/** `rvos models`: what was pulled. */
export function registerModels(program: Command): void {
  const models = program
    .command('models')
    .summary('list, verify or remove the models that were pulled')
    .description('Says which models were pulled: size, source, licence, and when. Without a subcommand it lists them.');
  models
    .command('list', { isDefault: true })
    .summary('list pulled models, and those that can be')
    .description('Lists the models that were pulled, and the known ones that were not.')
    .option('--json', 'print them as one JSON value')
    .addHelpText('after', '\nExample:\n  rvos models list --json')
    .action(async ({ json }: JsonOption) => list(json ?? false));
  models
    .command('verify')
    .summary('check every file of pulled models')
    .description('Compares size and SHA-256 of every file with what was imported. Fails if one is damaged.')
    .argument('[names...]', 'models to check (default: all)')
    .option('--json', 'print the findings as one JSON value')
    .addHelpText('after', '\nExample:\n  rvos models verify mttr')
    .action(async (names: string[], { json }: JsonOption) => verify(names, json ?? false));
  models
    .command('remove')
    .summary('remove pulled models')
    .description('Removes models from the cache.')
    .argument('<names...>', 'models to remove')
    .option('--json', 'print what was removed as one JSON value')
    .addHelpText('after', '\nExample:\n  rvos models remove mttr')
    .action(async (names: string[], { json }: JsonOption) => remove(names, json ?? false));
}

async function list(json: boolean): Promise<void> {
  const pulled = await pulledModels();
  const others = knownModels.filter(({ name }) => !pulled.some((model) => model.name === name));
  if (json) {
    const known = knownModels.map(({ name, description, figures, trainedOn, licence }) => ({
      ...{ name, description, figures, trained_on: trainedOn, licence },
      pulled: pulled.some((model) => model.name === name),
    }));
    return print(`${JSON.stringify({ pulled: pulled.map(asJson), known })}\n`);
  }
  const lines = pulled.map(({ name, path, bytes, record }) =>
    [
      `${name}  ${formatRoughly(bytes)}  ${path}`,
      `  source   ${record?.source ?? 'unknown'}`,
      `  licence  ${record?.licence ?? 'unknown'}`,
      `  pulled   ${record?.pulled ?? 'unknown'}`,
    ].join('\n'),
  );
  if (pulled.length === 0) lines.push('No model was pulled yet.');
  if (others.length > 0) lines.push('Can be pulled:');
  for (const { name, figures, trainedOn } of others)
    lines.push(`  rvos pull ${name}  (trained on: ${trainedOn}; figures: ${figures})`);
  print(`${lines.join('\n')}\n`);
}

async function verify(names: readonly string[], json: boolean): Promise<void> {
  const chosen = await choose(names);
  const findings: { name: string; path: string; problem: string | null }[] = [];
  for (const { name, path } of chosen) {
    const problem = await openModelFolder(path, { signal: interruption() }).then(
      () => null,
      (error: unknown) => {
        if (error instanceof RvosError && error.code === 'BAD_MODEL_FOLDER') return error.message;
        throw error;
      },
    );
    findings.push({ name, path, problem });
    if (!json) print(`${name}: ${problem ?? 'complete, checksums right'}\n`);
  }
  if (json) print(`${JSON.stringify(findings)}\n`);
  const damaged = findings.filter(({ problem }) => problem !== null);
  if (damaged.length === 0) return;
  const list = damaged.map(({ name }) => name).join(', ');
  throw new RvosError('BAD_MODEL_FOLDER', `damaged: ${list}`, `Pull again: rvos pull ${damaged[0]!.name} --force`);
}

async function remove(names: readonly string[], json: boolean): Promise<void> {
  // All names are looked up before anything is removed.
  await choose(names);
  const removed = [];
  for (const name of names) removed.push({ name, ...(await removePulledModel(name)) });
  if (json) print(`${JSON.stringify(removed)}\n`);
  else print(removed.map(({ name, bytes }) => `removed ${name}, ${formatRoughly(bytes)}\n`).join(''));
}

async function choose(names: readonly string[]): Promise<PulledModel[]> {
  const pulled = await pulledModels();
  if (names.length === 0) return pulled;
  return names.map((name) => {
    const model = pulled.find((one) => one.name === name);
    if (model) return model;
    const there = pulled.map((one) => one.name).join(', ') || 'none';
    throw new RvosError('NOT_FOUND', `no pulled model ${name}`, `Pulled are: ${there}.`);
  });
}

function asJson({ name, path, bytes, record }: PulledModel): unknown {
  const { source = null, licence = null, pulled = null, files = [] } = record ?? {};
  return { name, path, bytes, source, licence, pulled, files };
}
