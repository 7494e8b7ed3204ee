#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { describeError, RvosError } from '../errors.js';
import { packageVersion } from '../package-root.js';
import { registerBuild } from './build.js';
import { registerDoctor } from './doctor.js';
import { registerEval } from './eval.js';
import { registerImport } from './import.js';
import { registerInspect } from './inspect.js';
import { exitCodes, interruption } from './interruption.js';
import { registerSegment } from './segment.js';
import { registerStage } from './stage.js';
import { registerTokenize } from './tokenize.js';

/** Runs the command line; resolves with the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const signal = interruption();
  try {
    await buildProgram().parseAsync(argv);
    return exitCodes.done;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.done : exitCodes.usage;
    if (signal.aborted) {
      process.stderr.write('rvos: interrupted; partial output was removed\n');
      return exitCodes.interrupted;
    }
    process.stderr.write(`rvos: ${describeError(error)}\n`);
    return error instanceof RvosError && error.code === 'BAD_ARGUMENT' ? exitCodes.usage : exitCodes.failed;
  }
}

function buildProgram(): Command {
  const program = new Command('rvos')
    .description('Referring video object segmentation: a video and sentences in, a mask per frame and sentence out.')
    .version(packageVersion(), '--version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .showHelpAfterError('(add --help for the options)')
    .addHelpText(
      'after',
      `
Examples:
  rvos segment clip.mp4 "the red car" --masked-video out.mp4
  rvos import refer-youtube-vos_window-12.pth.tar --tokenizer roberta-base --out models/mttr
  rvos segment clip.mp4 "the dog on the left" --model models/mttr --masks masks.json

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted.`,
    )
    .exitOverride();
  registerSegment(program);
  registerImport(program);
  registerInspect(program);
  registerBuild(program);
  registerTokenize(program);
  registerStage(program);
  registerEval(program);
  registerDoctor(program);
  return program;
}

// A reader that has seen enough (`| head`) is no failure of ours.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') throw error;
});

// Exits even if something, such as an open standard input, would keep the event loop alive.
process.exit(await main(process.argv));
