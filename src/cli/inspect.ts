import type { Command } from 'commander';
import { inspectEngines, isEnginePath } from '../engines/inspect-engine.js';
import { RvosError } from '../errors.js';
import type { Architecture } from '../model/architecture.js';
import { type CheckpointInspection, inspect, type ModelInspection } from '../model/inspect.js';
import { engineFolderLines, engineLines } from './inspect-engine.js';
import { interruption } from './interruption.js';
import { print } from './standard-output.js';

/** `rvos inspect`: what a model folder, a checkpoint or an engine is. */
export function registerInspect(program: Command): void {
  program
    .command('inspect')
    .summary('say what a model folder, checkpoint or engine is')
    .description(
      'Says what a model folder, a checkpoint or a TensorRT engine is, and whether it is sound. A damaged engine fails, and is never opened.',
    )
    .argument(
      '<path>',
      'model folder, name of a model that comes with rvos, checkpoint, ModelScope folder, engine, its manifest, or folder of engines',
    )
    .option('--json', 'print all of it, tensors included, as one JSON value')
    .addHelpText(
      'after',
      '\nExamples:\n  rvos inspect compact\n  rvos inspect refer-youtube-vos_window-12.pth.tar --json\n  rvos inspect engines',
    )
    .action(async (path: string, options: { json?: boolean }) => {
      if (await isEnginePath(path)) return inspectEngine(path, options.json ?? false);
      const found = await inspect(path, { signal: interruption() });
      if (options.json) print(`${JSON.stringify(found)}\n`);
      else print(`${(found.kind === 'model' ? modelLines(found) : checkpointLines(found)).join('\n')}\n`);
    });
}

async function inspectEngine(path: string, json: boolean): Promise<void> {
  const found = await inspectEngines(path, { signal: interruption() });
  const lines = found.kind === 'engine' ? engineLines(found) : engineFolderLines(found);
  print(json ? `${JSON.stringify(found)}\n` : `${lines.join('\n')}\n`);
  const damaged = found.kind === 'engines' ? found.engines.filter(({ problem }) => problem !== null) : [];
  if (found.kind === 'engine' || damaged.length === 0) return;
  const what = `${damaged.length} of ${found.engines.length} engines in ${found.path} are damaged`;
  throw new RvosError('BAD_ENGINE', what, 'Each line that says DAMAGED names the remedy.');
}

function modelLines({ path, parameters, model }: ModelInspection): string[] {
  const { preprocessing: pixels, windows, provenance } = model;
  return [
    `model folder ${path}: complete, checksums right`,
    `  name          ${model.name}`,
    `  weights       ${millions(parameters)} million, stored in ${model.precision}`,
    ...architectureLines(model.architecture),
    `  input         ${pixels.short_side}/${pixels.long_side} pixels, antialias ${pixels.antialias ? 'on' : 'off'}`,
    `  windows       ${windows.length} frames, ${windows.overlap} shared with the next`,
    `  min score     ${model.min_score}`,
    `  licence       ${model.licence}`,
    `  made from     ${provenance.source} (${provenance.format}, SHA-256 ${provenance.sha256})`,
  ];
}

function checkpointLines(found: CheckpointInspection): string[] {
  const lines = [
    `checkpoint ${found.path} (${found.format})`,
    `  weights       ${millions(found.parameters)} million in ${found.tensors.length} tensors`,
  ];
  if (found.architecture) lines.push(...architectureLines(found.architecture));
  else lines.push(`  not MTTR      ${found.problem}`);
  return [...lines, ...found.warnings.map((warning) => `  warning       ${warning}`)];
}

function architectureLines({ swin, roberta, mttr }: Architecture): string[] {
  return [
    `  backbone      Video Swin, embed ${swin.embed_dim}, depths ${swin.depths.join('-')}, heads ${swin.num_heads.join('-')}, window ${swin.window_size.join('x')}`,
    `  text encoder  RoBERTa, ${roberta.num_hidden_layers} layers of ${roberta.hidden_size}, ${roberta.num_attention_heads} heads, ${roberta.vocab_size} tokens`,
    `  transformer   ${mttr.num_encoder_layers}+${mttr.num_decoder_layers} layers of ${mttr.d_model}, ${mttr.nheads} heads`,
    `  object        ${mttr.num_queries} queries, mask kernels of ${mttr.mask_kernels_dim}`,
  ];
}

function millions(count: number): string {
  return (count / 1e6).toFixed(1);
}
