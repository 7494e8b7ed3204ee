import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';
import { RvosError } from '../errors.js';
import { remedies } from '../installation.js';
import { packageVersion } from '../package-root.js';
import type { TensorRtFlavor } from './tensorrt-addon.js';
import { toRvosError } from './tensorrt-errors.js';
import type { ProbeLine, ProbeResult, ProbeStep } from './tensorrt-probe.js';

/** Where an addon and its libraries are; the libraries are names for dlopen. */
export interface TensorRtFiles {
  readonly addon: string;
  readonly infer: string;
  readonly parser: string;
}

/** What trying one flavour in a process of its own has shown. */
export type FlavorProbe = { readonly flavor: TensorRtFlavor; readonly addon: string } & (
  | { readonly usable: true; readonly files: TensorRtFiles; readonly learnt: ProbeResult }
  | { readonly usable: false; readonly built: boolean; readonly error: RvosError }
);

const names: Record<TensorRtFlavor, string> = {
  tensorrt: 'TensorRT',
  'tensorrt-rtx': 'TensorRT-RTX',
  simulated: 'the simulated device',
};

const doing: Record<ProbeStep, string> = {
  addon: 'loading the addon',
  libraries: 'opening the libraries',
  devices: 'asking the driver for GPUs',
};

/** A cold start reads libraries of several hundred megabytes from disk. */
const defaultTimeout = 120_000;

const setUp = `Run "${remedies.tensorRt}", which finds or fetches the libraries and compiles the addon.`;

const recordSchema = z.object({ infer: z.string(), parser: z.string() });

export function flavorName(flavor: TensorRtFlavor): string {
  return names[flavor];
}

/**
 * Tries a flavour whose addon lies in `folder` in a child process, so that whatever is wrong with the libraries or the
 * driver ends only that. Never rejects: what is wrong is in the result, as the error that loading would throw.
 */
export async function probeFlavor(
  flavor: TensorRtFlavor,
  folder: string,
  { timeout = defaultTimeout }: { timeout?: number } = {},
): Promise<FlavorProbe> {
  const addon = join(folder, 'rvos_tensorrt.node');
  if (!existsSync(addon)) {
    const error = new RvosError('ADDON_MISSING', `the addon for ${names[flavor]} is not built (${addon})`, setUp);
    return { flavor, addon, usable: false, built: false, error };
  }
  try {
    const files = { addon, ...libraries(flavor, folder) };
    const learnt = await tryInChild(flavor, files, timeout);
    const here = packageVersion();
    if (learnt.addonVersion !== here) {
      const message = `the addon for ${names[flavor]} is of rvos ${learnt.addonVersion}, this is rvos ${here} (${addon})`;
      throw new RvosError('ADDON_MISSING', message, `Compile it again with "${remedies.tensorRt}".`);
    }
    return { flavor, addon, usable: true, files, learnt };
  } catch (error) {
    if (!(error instanceof RvosError)) throw error;
    return { flavor, addon, usable: false, built: true, error };
  }
}

/**
 * The libraries as the set-up recorded them, or as RVOS_TENSORRT_LIBRARY and RVOS_TENSORRT_PARSER
 * (RVOS_TENSORRT_RTX_LIBRARY, …) name them.
 */
function libraries(flavor: TensorRtFlavor, folder: string): { infer: string; parser: string } {
  const prefix = `RVOS_${flavor.toUpperCase().replace('-', '_')}`;
  const infer = process.env[`${prefix}_LIBRARY`];
  const parser = process.env[`${prefix}_PARSER`];
  if (infer && parser) return { infer, parser };
  const file = join(folder, 'libraries.json');
  try {
    const record = recordSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
    return { infer: infer || record.infer, parser: parser || record.parser };
  } catch (cause) {
    const message = `the record of ${names[flavor]}'s libraries cannot be read (${file})`;
    throw new RvosError('ADDON_MISSING', message, setUp, { cause });
  }
}

async function tryInChild(flavor: TensorRtFlavor, files: TensorRtFiles, timeout: number): Promise<ProbeResult> {
  const entry = fileURLToPath(
    new URL(
      import.meta.url.endsWith('.ts') ? '../../dist/native/tensorrt-probe.js' : './tensorrt-probe.js',
      import.meta.url,
    ),
  );
  const { lines, ending } = await runToEnd([entry, files.addon, files.infer, files.parser], timeout);
  const last = lines.at(-1);
  if (last && 'learnt' in last) return last.learnt;
  if (last && 'failed' in last) throw failedError(flavor, files, stepOf(lines), last.failed);
  const step = stepOf(lines);
  throw new RvosError(
    step === 'addon' ? 'ADDON_MISSING' : 'BACKEND_UNAVAILABLE',
    `${names[flavor]} cannot be used: the process that tried it ${ending} while ${step ? doing[step] : 'starting'}`,
    step === 'devices'
      ? 'Check the NVIDIA driver (nvidia-smi), or use --backend onnxruntime.'
      : `${setUp} Meanwhile use --backend onnxruntime.`,
  );
}

function stepOf(lines: readonly ProbeLine[]): ProbeStep | undefined {
  return lines.findLast((line) => 'step' in line)?.step;
}

function failedError(
  flavor: TensorRtFlavor,
  files: TensorRtFiles,
  step: ProbeStep | undefined,
  { code, message }: { code: string | null; message: string },
): RvosError {
  if (step === 'addon') {
    return new RvosError('ADDON_MISSING', `the addon ${files.addon} cannot be loaded: ${message}`, setUp);
  }
  const what = `${names[flavor]} cannot be used`;
  const native = toRvosError(Object.assign(new Error(message), { code }), { what });
  return native instanceof RvosError ? native : new RvosError('BACKEND_UNAVAILABLE', `${what}: ${message}`, setUp);
}

/** The lines a process printed and, in words, how it ended. */
function runToEnd(args: readonly string[], timeout: number): Promise<{ lines: ProbeLine[]; ending: string }> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    let timedOut = false;
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill('SIGKILL');
    }, timeout);
    const end = (ending: string) => {
      clearTimeout(timer);
      resolve({ lines: parseLines(text), ending: timedOut ? `hung for ${timeout / 1000} s` : ending });
    };
    child.once('error', (error) => end(`could not be started (${error.message})`));
    child.once('close', (status, signal) => end(signal ? `was ended by ${signal}` : `ended with exit code ${status}`));
  });
}

/** What libraries print between the lines is passed over. */
function parseLines(text: string): ProbeLine[] {
  return text.split('\n').flatMap((line) => {
    try {
      const value: unknown = JSON.parse(line);
      const ours =
        typeof value === 'object' && value !== null && ['step', 'failed', 'learnt'].some((key) => key in value);
      return ours ? [value as ProbeLine] : [];
    } catch {
      return [];
    }
  });
}
