import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import type { StageTensor, TensorRtAddon } from '../../src/native/tensorrt-addon.js';

export { OnnxStages } from './onnx-stages.mjs';

/** What the simulated device asks of JavaScript: one run of one stage. */
export interface StageCall {
  /** The engine's file. */
  readonly engine: string;
  readonly profile: number;
  readonly inputs: Readonly<Record<string, StageTensor>>;
}

export type StageOutputs = Record<string, StageTensor>;
export type StageRunner = (call: StageCall) => StageOutputs | Promise<StageOutputs>;

/** Of the process, since it started; bytes are those in use now. */
export interface DeviceCounters {
  readonly deviceBytes: number;
  readonly pinnedBytes: number;
  readonly deviceAllocations: number;
  readonly pinnedAllocations: number;
  readonly failedAllocations: number;
  readonly hostToDevice: number;
  readonly hostToDeviceBytes: number;
  readonly deviceToHost: number;
  readonly deviceToDevice: number;
  readonly kernels: number;
  readonly stages: number;
  readonly graphsCaptured: number;
  readonly graphLaunches: number;
}

/** The addon's flavour `simulated`, which has this besides the contract. */
export interface SimulatedAddon extends TensorRtAddon {
  setStageRunner(run: StageRunner): void;
  readonly simulatedDevice: {
    counters(): DeviceCounters;
    /** Some operations come up to so many microseconds late, which ones follows from the seed; 0: none. */
    delay(seed: number, microseconds: number): void;
    /** Allocations fail beyond this many bytes in use. */
    limitMemory(bytes: number): void;
    /** The next so many captures of graphs fail. */
    failCaptures(count: number): void;
    /** After a failure of the device, which would need a new process with CUDA. */
    recover(): void;
  };
}

const root = join(import.meta.dirname, '../..');
/** RVOS_SIMULATED_ADDON names one that was compiled otherwise, with sanitizers for example. */
const compiledElsewhere = process.env.RVOS_SIMULATED_ADDON;
export const simulatedAddonPath = compiledElsewhere ?? join(root, 'build/tensorrt/simulated/rvos_tensorrt.node');

/** Compiles the flavour if its sources have changed, and loads it. */
export function simulatedAddon(): SimulatedAddon {
  if (compiledElsewhere) return createRequire(import.meta.url)(compiledElsewhere) as SimulatedAddon;
  const built = spawnSync(process.execPath, [join(root, 'scripts/setup-native.mjs'), '--flavors', 'simulated'], {
    encoding: 'utf8',
  });
  if (built.status !== 0) throw new Error(`the simulated flavour does not compile: ${built.stderr}`);
  return createRequire(import.meta.url)(simulatedAddonPath) as SimulatedAddon;
}
