import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import type { NativeDtype, StageTensor, TensorRtAddon } from '../../src/native/tensorrt-addon.js';

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

/** The ONNX graph inside an engine of the simulated device, and the folder where its weights lie. */
function openEngine(path: string): { graph: Uint8Array; folder: string } {
  const bytes = readFileSync(path);
  let folder = '';
  for (let at = 0; ; ) {
    const end = bytes.indexOf(10, at);
    if (end < 0) throw new Error(`${path} is no engine of the simulated device`);
    const line = bytes.toString('utf8', at, end);
    at = end + 1;
    if (line.startsWith('folder ')) folder = line.slice(7);
    if (line.startsWith('graph ')) return { graph: new Uint8Array(bytes.subarray(at)), folder };
  }
}

/** Runs the ONNX graphs of engines on ONNX Runtime: the network itself, on the simulated device. */
export class OnnxStages {
  readonly #sessions = new Map<string, Promise<InferenceSession>>();

  /** `weights`: folder of `weights.bin`, for engines that were moved away from the graph they are made of. */
  constructor(private readonly weights?: string) {}

  readonly run: StageRunner = async ({ engine, inputs }) => {
    const session = await this.#session(engine);
    const feeds: Record<string, Tensor> = {};
    for (const [name, { dtype, data, shape }] of Object.entries(inputs)) {
      feeds[name] = new Tensor(dtype, data as Float32Array, shape);
    }
    const results = (await session.run(feeds)) as Record<string, Tensor>;
    const outputs: StageOutputs = {};
    for (const [name, { type, data, dims }] of Object.entries(results)) {
      outputs[name] = { dtype: type as NativeDtype, shape: dims, data: data as Float32Array };
    }
    return outputs;
  };

  async release(): Promise<void> {
    for (const session of this.#sessions.values()) await (await session).release();
    this.#sessions.clear();
  }

  #session(engine: string): Promise<InferenceSession> {
    let session = this.#sessions.get(engine);
    if (!session) {
      const { graph, folder } = openEngine(engine);
      const weights = new Uint8Array(readFileSync(join(this.weights ?? folder, 'weights.bin')));
      session = InferenceSession.create(graph, {
        intraOpNumThreads: 1,
        logSeverityLevel: 3,
        enableMemPattern: false,
        externalData: [{ path: 'weights.bin', data: weights }],
      });
      this.#sessions.set(engine, session);
    }
    return session;
  }
}
