import { resolve } from 'node:path';
import { Presets, SingleBar } from 'cli-progress';
import { type Command, Option } from 'commander';
import type { ComputePrecision } from '../backends/cpu/precision.js';
import { type BackendChoice, backendChoices } from '../backends/open-backend.js';
import { RvosError } from '../errors.js';
import type { DataSet } from '../eval/data-set.js';
import { openA2dSentences } from '../eval/data-sets/a2d-sentences.js';
import { openFolder } from '../eval/data-sets/folder.js';
import { openJhmdbSentences } from '../eval/data-sets/jhmdb-sentences.js';
import { openReferYouTubeVos } from '../eval/data-sets/refer-youtube-vos.js';
import { type EvaluationResult, evaluate } from '../eval/evaluate.js';
import type { Protocol } from '../eval/track-sample.js';
import { openModelFolder } from '../model/model-folder.js';
import { Segmenter } from '../segmenter.js';
import { buildDisplay } from './build-progress.js';
import { interruption } from './interruption.js';
import { integerOption, precisionOption } from './option-values.js';
import { isTerminal } from './progress.js';
import { print } from './standard-output.js';

const dataSets = ['a2d-sentences', 'jhmdb-sentences', 'refer-youtube-vos', 'folder'] as const;
type DataSetName = (typeof dataSets)[number];

interface EvalCommandOptions {
  readonly root: string;
  readonly out: string;
  readonly model: string;
  readonly backend: BackendChoice;
  readonly precision: ComputePrecision;
  readonly build?: boolean;
  readonly split?: string;
  readonly protocol?: Protocol;
  readonly window: number;
  readonly limit?: number;
  readonly threads?: number;
  readonly pictures: boolean;
  readonly force?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** Splits that exist, the default first. */
const splits: Readonly<Record<DataSetName, readonly string[]>> = {
  'a2d-sentences': ['test', 'train'],
  'jhmdb-sentences': [],
  'refer-youtube-vos': ['valid', 'train'],
  folder: [],
};

/** `rvos eval`: the product on a data set, with the figures that the papers report. */
export function registerEval(program: Command): void {
  program
    .command('eval')
    .summary('measure a model on a data set')
    .description(
      'Runs a model on A2D-Sentences, JHMDB-Sentences, Refer-YouTube-VOS or a folder of your own clips (docs/evaluation.md) and reports what the papers report. Goes on where an interrupted evaluation stopped.',
    )
    .argument('<data set>', dataSets.join(', '))
    .requiredOption('--root <folder>', 'where the data set lies')
    .requiredOption('--out <folder>', 'folder for report.md, results.csv, summary.json, problems.json, pictures/')
    .option(
      '--model <folder or name>',
      'model folder made by `rvos import`, or a model that comes with rvos',
      'compact',
    )
    .addOption(new Option('--backend <name>', 'what runs the network').choices(backendChoices).default('auto'))
    .addOption(precisionOption())
    .option('--build', 'build TensorRT engines that are missing, else they are an error')
    .option('--split <name>', 'a2d-sentences: test or train; refer-youtube-vos: valid or train')
    .addOption(
      new Option(
        '--protocol <kind>',
        'whole videos as one clip, as published, or windows, as deployed (default: clip for refer-youtube-vos, windows for folder)',
      ).choices(['clip', 'windows']),
    )
    .option(
      '--window <frames>',
      'a2d-sentences, jhmdb-sentences: frames around the annotated one',
      integerOption(1, 24),
      10,
    )
    .option('--limit <samples>', 'evaluate this many samples only', integerOption(1, 1e9))
    .option('--threads <n>', 'CPU threads (default: all cores)', integerOption(1, 1024))
    .option('--no-pictures', 'write no pictures')
    .option('--force', 'begin anew, even if --out holds an evaluation')
    .option('--quiet', 'no progress')
    .option('--json', 'print figures, problems and outputs as one JSON value')
    .addHelpText(
      'after',
      `
Examples:
  rvos eval a2d-sentences --root a2d_sentences --model models/a2d --out results/a2d
  rvos eval refer-youtube-vos --root refer_youtube_vos --model models/mttr --out results/yt   # writes submission.zip
  rvos eval folder --root my-clips --out results/mine`,
    )
    .action(async (name: string, options: EvalCommandOptions) => {
      await run(checkName(name), options);
    });
}

async function run(name: DataSetName, options: EvalCommandOptions): Promise<void> {
  const signal = interruption();
  const split = checkSplit(name, options.split);
  const protocol = options.protocol ?? (name === 'folder' ? 'windows' : 'clip');
  const dataSet = await openDataSet(name, split, options);
  const frames = name === 'a2d-sentences' || name === 'jhmdb-sentences';
  const backend = backendFor(options.backend, options.precision, !frames && protocol === 'clip');
  const { model: source, precision, threads, build } = options;
  const model = await openModelFolder(source, { signal });
  const building = buildDisplay(options.quiet ?? false);
  const onBuildProgress = building.update.bind(building);
  const segmenter = await Segmenter.open({
    model: source,
    backend,
    precision,
    threads,
    build,
    signal,
    onBuildProgress,
  });
  const progress = progressDisplay(options.quiet ?? false);
  try {
    const result = await evaluate({
      ...{
        segmenter,
        dataSet,
        protocol,
        signal,
        limit: options.limit,
        force: options.force,
        pictures: options.pictures,
      },
      out: options.out,
      submission: name === 'refer-youtube-vos',
      settings: {
        data_set: name,
        split: split ?? null,
        protocol: frames ? `windows of ${options.window} frames, centre annotated` : protocol,
        model: model.name,
        weights_sha256: model.weightsSha256,
        backend: segmenter.backend.name,
        precision: segmenter.backend.precision ?? null,
        options: JSON.stringify({
          preprocessing: model.preprocessing,
          windows: model.windows,
          minScore: model.minScore,
        }),
      },
      onProgress: progress.update,
    });
    progress.stop();
    report(result, options);
  } finally {
    building.stop();
    progress.stop();
    await segmenter.dispose();
  }
}

/** Whole videos as one clip are longer than the windows that engines take. */
function backendFor(choice: BackendChoice, precision: ComputePrecision, wholeVideos: boolean): BackendChoice {
  if (!wholeVideos || choice === 'onnxruntime' || choice === 'openvino') return choice;
  if (choice === 'auto') return precision === 'bf16' ? 'openvino' : 'onnxruntime';
  throw new RvosError(
    'BAD_ARGUMENT',
    'TensorRT engines take windows, not whole videos as one clip',
    'Add --protocol windows, or use --backend onnxruntime.',
  );
}

function openDataSet(name: DataSetName, split: string | undefined, options: EvalCommandOptions): Promise<DataSet> {
  const { root, window: windowLength } = options;
  switch (name) {
    case 'a2d-sentences':
      return openA2dSentences({ root, windowLength, split: split === 'train' ? 'train' : 'test' });
    case 'jhmdb-sentences':
      return openJhmdbSentences({ root, windowLength });
    case 'refer-youtube-vos':
      return openReferYouTubeVos({ root, split: split === 'train' ? 'train' : 'valid' });
    case 'folder':
      return openFolder(root);
  }
}

function checkName(name: string): DataSetName {
  const known = dataSets.find((candidate) => candidate === name);
  if (known) return known;
  throw new RvosError('BAD_ARGUMENT', `data set ${name.slice(0, 80)} is unknown`, `It is ${dataSets.join(', ')}.`);
}

function checkSplit(name: DataSetName, split: string | undefined): string | undefined {
  const known = splits[name];
  if (split === undefined) return known[0];
  if (known.includes(split)) return split;
  const remedy = known.length > 0 ? `It is ${known.join(' or ')}.` : 'Leave --split out.';
  throw new RvosError('BAD_ARGUMENT', `${name} has no split ${split.slice(0, 80)}`, remedy);
}

function report({ figures, samples, problems, outputs }: EvaluationResult, { out, json }: EvalCommandOptions): void {
  if (json) {
    const paths = Object.fromEntries(Object.entries(outputs).map(([name, path]) => [name, resolve(path)]));
    print(`${JSON.stringify({ figures: figures ?? null, samples, problems, outputs: paths })}\n`);
    return;
  }
  const lines = Object.entries(figures ?? {}).flatMap(([name, value]) =>
    typeof value === 'object' && value !== null
      ? Object.entries(value as Record<string, number>).map(([at, share]) => line(`P@${at}`, share))
      : [line(name, value as number | null)],
  );
  lines.push(`${samples} samples, ${problems.length} not evaluated; report: ${resolve(out, 'report.md')}`);
  print(`${lines.join('\n')}\n`);
  for (const { file, record, problem } of problems.slice(0, 5)) {
    process.stderr.write(`rvos: not evaluated: ${file} (${record}): ${problem}\n`);
  }
  if (problems.length > 5) process.stderr.write(`rvos: … and ${problems.length - 5} more in problems.json\n`);
}

function line(name: string, value: number | null): string {
  const shown = value === null ? '—' : Number.isInteger(value) && value > 1 ? String(value) : value.toFixed(4);
  return `${name.padEnd(14)} ${shown}`;
}

interface EvalProgress {
  readonly done: number;
  readonly total: number;
  readonly problems: number;
}

function progressDisplay(quiet: boolean): { update: (progress: EvalProgress) => void; stop: () => void } {
  if (quiet) return { update: () => undefined, stop: () => undefined };
  if (!isTerminal()) {
    let last = Date.now();
    const update = ({ done, total, problems }: EvalProgress) => {
      if (Date.now() - last < 5000) return;
      last = Date.now();
      process.stderr.write(`evaluating: ${done} of ${total} samples, ${problems} problems\n`);
    };
    return { update, stop: () => undefined };
  }
  const format = 'evaluating {bar} {value}/{total} samples, {problems} problems, {eta_formatted} left';
  const bar = new SingleBar({ format, stream: process.stderr, hideCursor: true }, Presets.shades_classic);
  let started = false;
  return {
    update: ({ done, total, problems }) => {
      if (!started) bar.start(total, done, { problems });
      else bar.update(done, { problems });
      started = true;
    },
    stop: () => {
      if (started) bar.stop();
    },
  };
}
