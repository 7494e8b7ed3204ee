import type { Command } from 'commander';
import { knownModels } from '../pull/known-models.js';
import { type PullResult, pullModel } from '../pull/pull-model.js';
import { interruption } from './interruption.js';
import { PullDisplay } from './pull-progress.js';
import { print } from './standard-output.js';

interface PullCommandOptions {
  readonly endpoint?: string;
  readonly out?: string;
  readonly force?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

/** `rvos pull`: a model by its name, from the hub that has it. */
export function registerPull(program: Command): void {
  const width = Math.max(...knownModels.map(({ name }) => name.length));
  const table = knownModels.map(
    ({ name, description, figures }) => `  ${name.padEnd(width)}  ${description}; figures: ${figures}`,
  );
  program
    .command('pull')
    .summary('download a model, check it and make it ready')
    .description(
      'Downloads a model, verifies size and SHA-256, imports it and tries it on a few frames of the sample clip. What an interrupted pull has is kept: run the command again. The weights are their authors’; no licence is published for them.',
    )
    .argument(
      '<model>',
      'a known name, modelscope:ID[@REVISION], hf:ID[@REVISION][:PATH], hf-space:…, drive:ID, a URL or a path',
    )
    .option('--endpoint <url>', 'a mirror to ask instead of the hubs')
    .option('--out <folder>', 'model folder to make (default: in the cache, where --model finds it by name)')
    .option('--force', 'pull again what is there; accept a file that changed since it was first pulled')
    .option('--quiet', 'no progress')
    .option('--json', 'print name, folder, source and licence as one JSON value')
    .addHelpText(
      'after',
      `
Known models:
${table.join('\n')}

Environment: MODELSCOPE_ENDPOINT, MODELSCOPE_API_TOKEN, HF_ENDPOINT, HF_TOKEN, HTTPS_PROXY, NO_PROXY, RVOS_HOME.

Examples:
  rvos pull mttr
  rvos pull hf:OWNER/NAME:checkpoint.pth.tar
  rvos pull modelscope:damo/cv_swin-t_referring_video-object-segmentation --out models/mttr`,
    )
    .action(async (model: string, options: PullCommandOptions) => {
      const { endpoint, out, force, quiet = false } = options;
      const display = new PullDisplay(quiet);
      let result: PullResult;
      try {
        const onPullProgress = display.update.bind(display);
        result = await pullModel({ model, endpoint, out, force, onPullProgress, signal: interruption() });
      } finally {
        display.stop();
      }
      for (const warning of result.warnings) process.stderr.write(`rvos: warning: ${warning}\n`);
      const { model: use, found, path, source, licence, name } = result;
      if (options.json) print(`${JSON.stringify({ name, path, source, licence, found, warnings: result.warnings })}\n`);
      else
        print(
          `${found ? 'There already' : 'Ready'}: rvos segment VIDEO "a sentence" --model ${use} --masked-video out.mp4\n`,
        );
    });
}
