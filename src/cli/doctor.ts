import type { Command } from 'commander';
import { RvosError } from '../errors.js';
import { probeTensorRt } from '../native/load-tensorrt.js';
import { engines } from './doctor/engines.js';
import type { Finding } from './doctor/finding.js';
import { gpus } from './doctor/gpu.js';
import { core, ffmpeg, machine, models, onnxRuntime, opencv } from './doctor/runtime.js';
import { tensorRt } from './doctor/tensorrt.js';
import { interruption } from './interruption.js';
import { print } from './standard-output.js';

/** `rvos doctor`: what this machine can run, and what to do about each missing part. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('say what this machine can run')
    .description(
      'Checks every part that rvos stands on, GPUs, TensorRT and built engines among them, and names the remedy for each one that is missing.',
    )
    .option('--json', 'print all findings as one JSON value')
    .action(async (options: { json?: boolean }) => {
      const findings = await examine(interruption());
      if (options.json) print(`${JSON.stringify(findings)}\n`);
      else print(findings.map(describe).join(''));
      const failing = (['missing', 'broken'] as const).flatMap((state) => {
        const parts = new Set(findings.filter((finding) => finding.state === state).map(({ part }) => part));
        return parts.size > 0 ? [`${state}: ${[...parts].join(', ')}`] : [];
      });
      if (failing.length === 0) return;
      throw new RvosError(
        'BACKEND_UNAVAILABLE',
        failing.join('; '),
        'Each line above that says MISSING or BROKEN names the remedy.',
      );
    });
}

async function examine(signal: AbortSignal): Promise<Finding[]> {
  const [parts, probes] = await Promise.all([
    Promise.all([core(), onnxRuntime(), ffmpeg(), opencv(), models()]),
    probeTensorRt(),
  ]);
  return [machine(), ...parts, await gpus(probes), ...probes.map(tensorRt), ...(await engines(probes, signal))];
}

function describe({ part, state, detail, remedy }: Finding): string {
  const mark = { ok: 'ok      ', optional: 'optional', missing: 'MISSING ', broken: 'BROKEN  ' }[state];
  return `${mark}  ${part.padEnd(13)} ${detail}\n${remedy ? `${' '.repeat(24)}${remedy}\n` : ''}`;
}
