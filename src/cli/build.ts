import { relative, resolve } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { StoredEngines } from '../backends/tensorrt/stored-engines.js';
import { VerifiedEngines, verificationLine } from '../backends/tensorrt/verified-engines.js';
import { type BuiltEngine, type BuiltEngines, buildEngines } from '../engines/build-engines.js';
import { type FlavorChoice, flavorChoices, type OpenedBuilder, openBuilder } from '../engines/choose-builder.js';
import { buildCommand, defaultEnginesFolder, enginePaths, manifestTarget } from '../engines/engine-folder.js';
import { readEngineManifest } from '../engines/engine-manifest.js';
import { defaultEngineLimits, engineLimits, mostEngineLimits, planSize, sizeLabel } from '../engines/engine-plan.js';
import { EngineStore } from '../engines/engine-store.js';
import { recordVerification, skippedVerification } from '../engines/engine-verification.js';
import { type ModelFolder, openModelFolder } from '../model/model-folder.js';
import { networkSize, type Size } from '../preprocess/size-rule.js';
import { buildDisplay } from './build-progress.js';
import { interruption } from './interruption.js';
import { integerOption, sizeOption } from './option-values.js';
import { print } from './standard-output.js';

interface BuildCommandOptions {
  readonly model: string;
  readonly size?: Size[];
  readonly windows?: number;
  readonly sentences?: number;
  readonly tokens?: number;
  readonly flavor: FlavorChoice;
  readonly target?: number[];
  readonly out?: string;
  readonly force?: boolean;
  readonly verify: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** `rvos build`: TensorRT engines of a model. */
export function registerBuild(program: Command): void {
  program
    .command('build')
    .summary('build TensorRT engines of a model')
    .description(
      'Builds FP16 TensorRT engines: one text encoder and, for each size of the network’s input, two backbones and a transformer. Each appears with its manifest when it is complete; those that would come out the same are kept.',
    )
    .option('--model <folder or name>', 'model folder, or a model that comes with rvos', 'compact')
    .option(
      '--size <HxW...>',
      'size of the network’s input, may be repeated (default: that of 16:9 frames by the model’s size rule)',
      collectSizes,
    )
    .option(
      '--windows <n>',
      `most windows in a batch (default: ${defaultEngineLimits.windows})`,
      integerOption(1, mostEngineLimits.windows),
    )
    .option(
      '--sentences <n>',
      `most sentences in a batch, all its windows together (default: ${defaultEngineLimits.sentences})`,
      integerOption(1, mostEngineLimits.sentences),
    )
    .option(
      '--tokens <n>',
      `most tokens of a sentence (default: ${defaultEngineLimits.tokens})`,
      integerOption(2, mostEngineLimits.tokens),
    )
    .addOption(
      new Option('--flavor <name>', 'auto: TensorRT with a usable GPU, else TensorRT-RTX')
        .choices(flavorChoices)
        .default('auto'),
    )
    .option(
      '--target <8.6,8.9,…>',
      'compute capabilities to build for ahead of time, TensorRT-RTX only (default: the GPU present, else all)',
      targetList,
    )
    .option('--out <folder>', 'where engines are kept (default: $RVOS_ENGINES, else engines)')
    .option('--force', 'build engines anew that are there and unchanged')
    .option(
      '--no-verify',
      'do not run a clip through the new engines to compare it with FP32 on the CPU: what TensorRT compiled wrongly would go unnoticed',
    )
    .option('--quiet', 'no progress')
    .option('--json', 'print what was built as one JSON value')
    .addHelpText(
      'after',
      `
Engines go to <out>/<model>/<key>/; the key names library, version and GPU or targets.

Examples:
  rvos build --model models/mttr
  rvos build --model models/mttr --size 360x640 --size 640x360 --windows 4 --sentences 16
  rvos build --model compact --flavor tensorrt-rtx --target 8.6,8.9`,
    )
    .action(async (options: BuildCommandOptions) => {
      const began = performance.now();
      const model = await openModelFolder(options.model, { signal: interruption() });
      const sizes = options.size ?? [defaultSize(model)];
      const { chosen, built: complete } = await build(model, sizes, options);
      const built = await verify(model, sizes, chosen, complete, options);
      const seconds = (performance.now() - began) / 1000;
      print(
        options.json ? `${JSON.stringify(asJson(model, sizes, chosen, built, seconds))}\n` : asText(built, seconds),
      );
    });
}

async function build(
  model: ModelFolder,
  sizes: readonly Size[],
  { windows, sentences, tokens, flavor, target, out, force, quiet }: BuildCommandOptions,
): Promise<{ chosen: OpenedBuilder; built: BuiltEngines }> {
  const wanted = Object.entries({ windows, sentences, tokens }).filter(([, value]) => value !== undefined);
  const limits = Object.fromEntries(wanted);
  // What is wrong with the request is said before any library is loaded.
  engineLimits(model, limits);
  for (const size of sizes) planSize(model, size);
  const chosen = await openBuilder({ flavor, targets: target });
  if (!quiet) process.stderr.write(`${chosen.reason}\n`);
  const display = buildDisplay(quiet ?? false);
  try {
    const built = await buildEngines({
      ...{ model, sizes, limits, force },
      builder: chosen.builder,
      target: chosen.target,
      root: out === undefined ? defaultEnginesFolder() : resolve(out),
      signal: interruption(),
      onProgress: (progress) => display.update(progress),
    });
    return { chosen, built };
  } finally {
    display.stop();
  }
}

/**
 * Runs the engines that were built for the GPU that is present, those that nobody has run yet, and writes the outcome into their
 * manifests. Throws BAD_ENGINE for those that compute something else than the model.
 */
async function verify(
  model: ModelFolder,
  sizes: readonly Size[],
  { builder, target, device, addon }: OpenedBuilder,
  built: BuiltEngines,
  { out, verify: wanted, quiet }: BuildCommandOptions,
): Promise<BuiltEngines> {
  if (target.kind !== 'device' || device === undefined) return built;
  const say = (line: string) => quiet || process.stderr.write(`${line}\n`);
  const unverified = built.engines.filter(({ manifest }) => manifest.verified === null);
  if (!wanted && unverified.length > 0) {
    await recordVerification(unverified, skippedVerification());
    say(
      'not verified (--no-verify): if TensorRT has compiled an engine wrongly, its masks are wrong and nobody is told',
    );
  }
  const root = out === undefined ? defaultEnginesFolder() : resolve(out);
  const host = { flavor: builder.addon.flavor, libraryVersion: builder.libraryVersion, device };
  const engines = new VerifiedEngines({
    ...{ model, addon, device, signal: interruption() },
    engines: new StoredEngines({ model, store: new EngineStore(root), host }),
    command: (size) => buildCommand({ model, size, flavor: host.flavor, root }),
  });
  for (const size of wanted && unverified.length > 0 ? sizes : []) {
    say(`verifying ${sizeLabel(size)} against FP32 on the CPU …`);
    await engines.size(size);
    const { manifest } = (await new EngineStore(root).findSize(model, size, host)).transformer;
    if (manifest.verified) say(verificationLine(size, manifest.verified));
  }
  const read = built.engines.map(async (engine) => {
    const { manifest: file } = enginePaths(built.folder, engine.name);
    return { ...engine, manifest: await readEngineManifest(file, '') };
  });
  return { ...built, engines: await Promise.all(read) };
}

/** What 16:9 frames become by the model's size rule. */
function defaultSize({ preprocessing }: ModelFolder): Size {
  return networkSize({ height: 1080, width: 1920 }, preprocessing);
}

function collectSizes(text: string, before: Size[] | undefined): Size[] {
  return [...(before ?? []), sizeOption(text)];
}

function targetList(text: string): number[] {
  return text.split(',').map((item) => {
    const match = /^([1-9]\d?)\.(\d)$/.exec(item.trim());
    if (!match) throw new InvalidArgumentError('Compute capabilities are expected, as 8.6,8.9.');
    return Number(match[1]) * 10 + Number(match[2]);
  });
}

function asJson(
  model: ModelFolder,
  sizes: readonly Size[],
  { flavor, target, reason }: OpenedBuilder,
  { folder, key, engines }: BuiltEngines,
  seconds: number,
): unknown {
  return {
    model: model.name,
    sizes: sizes.map(sizeLabel),
    flavor,
    tensorrt_version: engines[0]?.manifest.tensorrt.version,
    target: manifestTarget(target),
    reason,
    key,
    folder,
    engines: engines.map(({ name, path, reused, manifest }) => {
      const { seconds, scratch_bytes, peak_host_bytes, warnings } = manifest.build;
      const { verified } = manifest;
      const bytes = manifest.file.bytes;
      return { name, path, reused, bytes, seconds, scratch_bytes, peak_host_bytes, warnings, verified };
    }),
    seconds,
  };
}

function asText({ folder, engines }: BuiltEngines, seconds: number): string {
  const width = Math.max(...engines.map(({ name }) => name.length));
  const lines = engines.map((engine) => `  ${engine.name.padEnd(width)}  ${facts(engine)}`);
  const built = engines.filter(({ reused }) => !reused).length;
  const near = relative(process.cwd(), folder);
  return `${near.startsWith('..') ? folder : near}\n${lines.join('\n')}\n${built} built, ${engines.length - built} kept in ${seconds.toFixed(1)} s\n`;
}

function facts({ manifest, reused }: BuiltEngine): string {
  const { scratch_bytes: scratch, seconds } = manifest.build;
  const memory = scratch === null ? '' : `, ${megabytes(scratch)} of activations`;
  return `${megabytes(manifest.file.bytes)}${memory}, ${reused ? 'unchanged' : `${seconds.toFixed(1)} s`}`;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}
