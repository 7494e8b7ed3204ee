import { Argument, type Command, InvalidArgumentError, Option } from 'commander';
import { openVinoSettings } from '../backends/cpu/cpu-backend.js';
import { type ComputePrecision, choosePrecision, computePrecisions } from '../backends/cpu/precision.js';
import { defaultThreads, openRuntime } from '../backends/cpu/runtime.js';
import { backendChoices, checkChoices } from '../backends/open-backend.js';
import { RvosError } from '../errors.js';
import { openModelFolder } from '../model/model-folder.js';
import type { Size } from '../preprocess/size-rule.js';
import type { Outputs } from '../stage/network-inputs.js';
import { cpuStages } from '../stage/network-stages.js';
import { runMaskHead, runPreprocess } from '../stage/pixel-stages.js';
import { StageInputs } from '../stage/stage-inputs.js';
import { openStageEngines, tensorRtStages } from '../stage/tensorrt-stages.js';
import { readSafetensors, writeSafetensors } from '../tensors/safetensors.js';
import { sizeOption } from './option-values.js';
import { print } from './standard-output.js';

const stages = ['backbone', 'text-encoder', 'transformer', 'preprocess', 'mask-head'] as const;
type Stage = (typeof stages)[number];

interface StageOptions {
  model: string;
  inputs: string;
  outputs: string;
  backend: (typeof backendChoices)[number];
  precision?: ComputePrecision;
  threads?: number;
  shortSide?: number;
  longSide?: number;
  antialias?: 'on' | 'off';
  paddedSize?: Size;
  resizedSize?: Size;
  originalSize?: Size;
  json?: boolean;
}

/** `rvos stage`: one stage on tensors from a safetensors file. */
export function registerStage(program: Command): void {
  program
    .command('stage')
    .summary('run one stage of the network on tensors from a file')
    .description(
      'Runs one stage on the tensors of a safetensors file and writes its outputs to another, which is always replaced. ' +
        'For parity tests, bug reports and other languages.',
    )
    .addArgument(new Argument('<stage>', 'which stage').choices(stages))
    .option('--model <dir or name>', 'model folder', 'compact')
    .requiredOption('--inputs <file>', 'safetensors file with the stage’s inputs')
    .requiredOption('--outputs <file>', 'safetensors file to write')
    .addOption(
      new Option('--backend <name>', 'what runs the network; auto is onnxruntime, in FP32')
        .choices(backendChoices)
        .default('auto'),
    )
    .addOption(new Option('--precision <kind>', 'what a CPU computes in (default: fp32)').choices(computePrecisions))
    .option('--threads <n>', 'CPU threads (default: all cores)', wholeNumber)
    .option('--short-side <n>', 'preprocess: wanted short side in pixels (default: the model’s)', wholeNumber)
    .option('--long-side <n>', 'preprocess: the long side’s limit in pixels (default: the model’s)', wholeNumber)
    .addOption(new Option('--antialias <on|off>', 'preprocess: filter when down-scaling').choices(['on', 'off']))
    .option('--padded-size <hxw>', 'mask-head: size of the network’s input', sizeOption)
    .option('--resized-size <hxw>', 'mask-head: the clip’s part of it (default: all)', sizeOption)
    .option('--original-size <HxW>', 'mask-head: size of the masks (default: the resized size)', sizeOption)
    .option('--json', 'print the outputs’ names, types and shapes as JSON')
    .addHelpText('after', help)
    .action(async (stage: Stage, options: StageOptions) => {
      const inputs = new StageInputs(stage, await readSafetensors(options.inputs));
      const outputs = await runStage(stage, inputs, options);
      await writeSafetensors(options.outputs, outputs, { force: true });
      if (!options.json) return;
      const list = [...outputs].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
      print(`${JSON.stringify({ stage, outputs: list })}\n`);
    });
}

async function runStage(stage: Stage, inputs: StageInputs, options: StageOptions): Promise<Outputs> {
  if (stage === 'mask-head') return runMaskHead(inputs, maskHeadSizes(options));
  const model = await openModelFolder(options.model);
  const { shortSide, longSide, antialias, threads = defaultThreads() } = options;
  if (stage === 'preprocess') {
    const filter = antialias === undefined ? undefined : antialias === 'on';
    return runPreprocess(model, inputs, { shortSide, longSide, antialias: filter });
  }
  const { backend, precision } = options;
  checkChoices(backend, precision ?? 'auto');
  if (backend === 'tensorrt') return tensorRtStages[stage](await openStageEngines(model), inputs);
  const runtime = backend === 'openvino' || (backend === 'auto' && precision === 'bf16') ? 'openvino' : 'onnxruntime';
  const settings = runtime === 'openvino' ? openVinoSettings(model) : {};
  const { precision: computed } = choosePrecision(runtime, precision ?? 'fp32');
  return cpuStages[stage](model, inputs, await openRuntime({ runtime, threads, precision: computed, ...settings }));
}

function maskHeadSizes({ paddedSize, resizedSize, originalSize }: StageOptions) {
  if (!paddedSize) {
    throw new RvosError('BAD_ARGUMENT', 'the mask-head stage does not know its sizes', 'Give --padded-size <hxw>.');
  }
  const resized = resizedSize ?? paddedSize;
  return { padded: paddedSize, resized, original: originalSize ?? resized };
}

function wholeNumber(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new InvalidArgumentError('A whole number from 1 is expected.');
  return Number(text);
}

const help = `
Tensors (B windows, T frames, P sentences, S tokens, D model width, N object queries, K kernel size):
  preprocess    frames U8 [T,H,W,3] → frames F32 [1,T,3,h,w]
  backbone      frames F32 [B,T,3,h,w], optional frame_count I32 [B] → level0..2 F32 [B,T,C,h/4·2^i,w/4·2^i]
  text-encoder  input_ids, attention_mask I64 [P,S] → text_features F32 [P,S,D]
  transformer   level0..2, text_features, attention_mask, optional frame_count I32 [B] and window_index I32 [P]
                → referred_score [P,N], query_index [P], mask_kernels [P,T,K], all_mask_kernels [P,T,N,K],
                  mask_features [P,T,K,h/4,w/4]
  mask-head     mask_kernels, mask_features → masks U8 [P,T,H,W] of 0/1

Example:
  rvos stage backbone --model models/mttr --inputs frames.safetensors --outputs levels.safetensors`;
