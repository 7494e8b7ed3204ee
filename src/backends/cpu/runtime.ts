import { availableParallelism } from 'node:os';
import type { Tensor } from '../../tensors/tensor.js';

/** Libraries that run ONNX graphs on a CPU. */
export const cpuRuntimes = ['onnxruntime'] as const;
export type CpuRuntimeName = (typeof cpuRuntimes)[number];

/** Which runtime, and how it computes; told to the child process when it starts. */
export interface RuntimeSettings {
  readonly runtime: CpuRuntimeName;
  readonly threads: number;
}

/** F32, I32 and I64 tensors by the names of the graph's inputs or outputs. */
export type NamedTensors = Readonly<Record<string, Tensor>>;

/** What a library is made to look like, so that one process, protocol and runner serve them all. */
export interface Runtime {
  readonly name: CpuRuntimeName;
  /** Of the library. */
  readonly version: string;
  /** Sessions after which the process had better be replaced, because the library leaks some memory with each. */
  readonly sessionsPerProcess: number;
  /** Reads the graph at `path` and makes it ready to run. */
  open(path: string): Promise<Session>;
}

/** A graph that is ready to run. One run at a time. */
export interface Session {
  /** Memory for the outputs of a graph whose float32 outputs have static shapes; undefined for any other. */
  outputMemory(): NamedTensors | undefined;
  /** Outputs by name. They are written into `outputs` and are these tensors, where that is given. */
  run(inputs: NamedTensors, outputs?: NamedTensors): Promise<NamedTensors>;
  release(): Promise<void>;
}

/** Threads of one session when the user names no number: all cores this process may use. */
export function defaultThreads(): number {
  return availableParallelism();
}

/** Opens the runtime in this process. Throws `RvosError` BACKEND_UNAVAILABLE where its library cannot be loaded. */
export async function openRuntime(settings: RuntimeSettings): Promise<Runtime> {
  switch (settings.runtime) {
    case 'onnxruntime': {
      const { OnnxRuntime } = await import('./onnxruntime-runtime.js');
      return new OnnxRuntime(settings);
    }
  }
}
