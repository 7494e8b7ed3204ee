import { resolve } from 'node:path';
import { Presets, SingleBar } from 'cli-progress';
import { type Command, Option } from 'commander';
import { type ImportResult, importModel } from '../model/import.js';
import { maxNetworkSide } from '../preprocess/size-rule.js';
import { interruption } from './interruption.js';
import { integerOption, numberOption } from './option-values.js';
import { isTerminal } from './progress.js';
import { print } from './standard-output.js';

interface ImportCommandOptions {
  readonly out: string;
  readonly architecture?: string;
  readonly tokenizer?: string;
  readonly precision?: 'fp32' | 'fp16';
  readonly shortSide?: number;
  readonly longSide?: number;
  readonly antialias?: 'on' | 'off';
  readonly minScore?: number;
  readonly name?: string;
  readonly licence?: string;
  readonly check?: boolean;
  readonly force?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** `rvos import`: a checkpoint becomes a model folder. */
export function registerImport(program: Command): void {
  program
    .command('import')
    .summary('make a model folder from a checkpoint')
    .description(
      'Makes a model folder from a checkpoint of MTTR: the original .pth.tar, a state dict, a ModelScope folder, or safetensors. Nothing in the checkpoint is executed.',
    )
    .argument('<source>', 'checkpoint file or ModelScope folder')
    .requiredOption('--out <folder>', 'model folder to make')
    .option('--architecture <config.json>', 'what shapes do not tell, as numbers of attention heads')
    .option('--tokenizer <folder>', 'tokenizer.json, or vocab.json and merges.txt (default: beside the checkpoint)')
    .addOption(
      new Option('--precision <kind>', 'how weights are stored (default: as in the checkpoint)').choices([
        'fp32',
        'fp16',
      ]),
    )
    .option(
      '--short-side <pixels>',
      "network size: the frame's shorter side (default: 360)",
      integerOption(1, maxNetworkSide),
    )
    .option(
      '--long-side <pixels>',
      'network size: limit of the longer side (default: 640)',
      integerOption(1, maxNetworkSide),
    )
    .addOption(
      new Option('--antialias <on|off>', 'smooth when shrinking frames: on as trained, off as the pipeline of 2022')
        .choices(['on', 'off'])
        .default('on'),
    )
    .option(
      '--min-score <0…1>',
      'windows with a lower score give empty masks (default: 0, always a mask)',
      numberOption(0, 1),
    )
    .option('--name <text>', 'name of the model (default: that of the folder)')
    .option('--licence <text>', 'licence of the weights')
    .option('--check', 'compare FP16 with FP32, stage by stage')
    .option('--force', 'replace an earlier model folder')
    .option('--quiet', 'no progress')
    .option('--json', 'print model.json, warnings and the check as one JSON value')
    .addHelpText(
      'after',
      `
config.json has the parts swin, roberta and mttr; whatever shapes tell may be left out:
  {"mttr": {"nheads": 8}, "roberta": {"num_attention_heads": 12}}

Examples:
  rvos import refer-youtube-vos_window-12.pth.tar --tokenizer roberta-base --out models/mttr
  rvos import cv_swin-t_referring_video-object-segmentation --out models/mttr
  rvos import model.safetensors --architecture config.json --precision fp16 --check --out models/small`,
    )
    .action(async (source: string, options: ImportCommandOptions) => {
      const result = await run(source, options);
      for (const warning of result.warnings) process.stderr.write(`rvos: warning: ${warning}\n`);
      print(options.json ? `${JSON.stringify(asJson(result))}\n` : asText(result));
    });
}

async function run(source: string, options: ImportCommandOptions): Promise<ImportResult> {
  const { antialias, quiet, json: _, ...rest } = options;
  const bar = quiet || !isTerminal() ? undefined : progressBar();
  try {
    return await importModel({
      ...rest,
      source,
      antialias: antialias === undefined ? undefined : antialias === 'on',
      onProgress: (done, total) => bar?.update(done / total),
      signal: interruption(),
    });
  } finally {
    bar?.stop();
  }
}

function progressBar(): SingleBar {
  const format = 'importing {bar} {percentage}%';
  const bar = new SingleBar({ format, stream: process.stderr, hideCursor: true }, Presets.shades_classic);
  bar.start(1, 0);
  return bar;
}

function asJson({ path, description, warnings, stageErrors }: ImportResult): unknown {
  return { path, model: description, warnings, ...(stageErrors && { check: stageErrors }) };
}

function asText({ path, description, stageErrors }: ImportResult): string {
  const { swin, roberta, mttr } = description.architecture;
  const { short_side: short, long_side: long } = description.preprocessing;
  const lines = [
    `${description.name}: ${resolve(path)}`,
    `  backbone      embed ${swin.embed_dim}, depths ${swin.depths.join('-')}, heads ${swin.num_heads.join('-')}`,
    `  text encoder  ${roberta.num_hidden_layers} layers of ${roberta.hidden_size}, ${roberta.num_attention_heads} heads, ${roberta.vocab_size} tokens`,
    `  transformer   ${mttr.num_encoder_layers}+${mttr.num_decoder_layers} layers of ${mttr.d_model}, ${mttr.nheads} heads, ${mttr.num_queries} object queries`,
    `  input         ${short}/${long} pixels, windows of ${description.windows.length} frames; weights ${description.precision}`,
  ];
  for (const { stage, output, worst } of stageErrors ?? []) {
    lines.push(`  FP16 against FP32: ${stage} ${output}: worst error ${worst.toExponential(1)} of the rms`);
  }
  return `${lines.join('\n')}\n`;
}
