#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { describeError, RvosError } from '../errors.js';
import { packageVersion } from '../package-root.js';
import { registerBench } from './bench.js';
import { registerBuild } from './build.js';
import { registerDoctor } from './doctor.js';
import { registerEval } from './eval.js';
import { registerImport } from './import.js';
import { registerInspect } from './inspect.js';
import { exitCodes, interruptedExitCode, interruption } from './interruption.js';
import { registerModels } from './models.js';
import { registerPull } from './pull.js';
import { registerSegment } from './segment.js';
import { registerServe } from './serve.js';
import { registerSetup } from './setup.js';
import { registerStage } from './stage.js';
import { guardStandardStreams, print, printed } from './standard-output.js';
import { registerTokenize } from './tokenize.js';
import { isUsageError } from './usage-error.js';
import { registerWorker } from './worker.js';

/** Runs the command line; resolves with the exit code. */
async function main(argv: readonly string[]): Promise<number> {
  const signal = interruption();
  try {
    try {
      if (argv.length <= 2) throw new RvosError('BAD_ARGUMENT', 'no command was given', 'rvos --help lists them.');
      await buildProgram().parseAsync(argv);
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode !== 0) return exitCodes.usage;
    }
    await printed();
    return exitCodes.done;
  } catch (error) {
    await printed().catch(() => undefined);
    const interrupted = signal.aborted ? interruptedExitCode() : undefined;
    if (interrupted !== undefined) {
      process.stderr.write('rvos: interrupted; partial output was removed\n');
      return interrupted;
    }
    process.stderr.write(`rvos: ${describeError(error)}\n`);
    return isUsageError(error) ? exitCodes.usage : exitCodes.failed;
  }
}

/** Commander's complaint as one line. */
function usageLine(complaint: string): string {
  const line = complaint
    .replace(/^error: /, '')
    .replace(/\s+/g, ' ')
    .trim()
    .replace(/\.$/, '');
  return `rvos: ${line}. Add --help for the options\n`;
}

function buildProgram(): Command {
  const program = new Command('rvos')
    .description('Referring video object segmentation: a video and sentences in, a mask per frame and sentence out.')
    .version(packageVersion(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .configureOutput({ writeOut: print, outputError: (text, write) => write(usageLine(text)) })
    .addHelpText(
      'after',
      `
Examples:
  rvos segment clip.mp4 "the red car" --masked-video out.mp4
  rvos pull mttr
  rvos segment clip.mp4 "the dog on the left" --model mttr --masks masks.json

Exit codes: 0 done, 1 failed, 2 wrong usage; 130 by Ctrl-C, 143 by SIGTERM, 129 by SIGHUP.`,
    )
    .exitOverride();
  registerSegment(program);
  registerPull(program);
  registerModels(program);
  registerImport(program);
  registerInspect(program);
  registerBuild(program);
  registerTokenize(program);
  registerStage(program);
  registerEval(program);
  registerServe(program);
  registerWorker(program);
  registerBench(program);
  registerSetup(program);
  registerDoctor(program);
  return program;
}

guardStandardStreams();

// Exits even if something, such as an open standard input, would keep the event loop alive.
process.exit(await main(process.argv));
