/*
 * The process in which an addon for TensorRT is tried before the application loads it. Arguments: the addon's file, the
 * inference library, the parser library. Each line of output is one JSON value: first the step that begins, so that the
 * parent knows where a crash happened, last what was learnt.
 */
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { NativeDevice, TensorRtAddon } from './tensorrt-addon.js';

export type ProbeStep = 'addon' | 'libraries' | 'devices';

/** What the process prints. */
export type ProbeLine =
  | { readonly step: ProbeStep }
  | { readonly failed: { readonly code: string | null; readonly message: string } }
  | { readonly learnt: ProbeResult };

export interface ProbeResult {
  /** rvos' version that the addon was compiled from. */
  readonly addonVersion: string;
  readonly headerVersion: string;
  readonly cudaVersion: string;
  readonly libraryVersion: string;
  /** Compute capabilities it builds for without such a GPU, as `86`. */
  readonly aheadOfTimeTargets: readonly number[];
  readonly devices: readonly NativeDevice[];
  /** Why there are no devices: NO_DEVICE, DRIVER_TOO_OLD, …; null if there are. */
  readonly deviceProblem: { readonly code: string | null; readonly message: string } | null;
}

const [addonFile, infer, parser] = process.argv.slice(2);
if (addonFile !== undefined && infer !== undefined && parser !== undefined) {
  try {
    print({ learnt: probe(addonFile, infer, parser) });
  } catch (error) {
    print({ failed: failure(error) });
  }
  // At once: what the libraries do at a regular exit is not what is tried here.
  process.kill(process.pid, 'SIGKILL');
}

function probe(addonFile: string, infer: string, parser: string): ProbeResult {
  print({ step: 'addon' });
  const addon = createRequire(import.meta.url)(addonFile) as TensorRtAddon;
  print({ step: 'libraries' });
  const { libraryVersion } = addon.load({ infer, parser });
  const aheadOfTimeTargets = addon.aheadOfTimeTargets();
  print({ step: 'devices' });
  let devices: NativeDevice[] = [];
  let deviceProblem: ProbeResult['deviceProblem'] = null;
  try {
    devices = addon.devices();
  } catch (error) {
    deviceProblem = failure(error);
  }
  const { version, headerVersion, cudaVersion } = addon;
  return {
    addonVersion: version,
    headerVersion,
    cudaVersion,
    libraryVersion,
    aheadOfTimeTargets,
    devices,
    deviceProblem,
  };
}

function failure(error: unknown): { code: string | null; message: string } {
  const code = error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
  return { code, message: (error instanceof Error ? error.message : String(error)).split('\n')[0] ?? '' };
}

/** Written before the next line of code runs: a crash must not take it along. */
function print(line: ProbeLine): void {
  writeSync(1, `${JSON.stringify(line)}\n`);
}
