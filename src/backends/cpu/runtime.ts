import { availableParallelism } from 'node:os';
import type { Tensor } from '../../tensors/tensor.js';

/** Libraries that run ONNX graphs on a CPU. */
export const cpuRuntimes = ['openvino', 'onnxruntime'] as const;
export type CpuRuntimeName = (typeof cpuRuntimes)[number];

/** Which runtime, and how it computes; told to the child process when it starts. */
export interface RuntimeSettings {
  readonly runtime: CpuRuntimeName;
  readonly threads: number;
  /** Default fp32. */
  readonly precision?: 'fp32' | 'bf16' | undefined;
  /** OpenVINO's C library; see `findOpenVino`. */
  readonly library?: string | undefined;
  /**
   * Where and how much compiled models may be kept (see `cacheRoot`, `cacheBytes`), and the SHA-256 of the weights that the
   * graphs refer to. Absent: none are kept.
   */
  readonly cache?: { readonly folder: string; readonly bytes: number; readonly weights: string } | undefined;
}

/** Sizes by the names of a graph's inputs. */
export type Shapes = Readonly<Record<string, readonly number[]>>;

export interface OpenOptions {
  /** Sizes that the graph leaves open, for a runtime that compiles for them. */
  readonly shapes?: Shapes;
  /** Compute in FP32 whatever the runtime was told. */
  readonly exact?: boolean;
  /** Keep what was compiled for the next process; default true. */
  readonly keep?: boolean;
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
  /** Whether graphs take clips that are shorter than their own, by `frame_count`, and levels are channels last. */
  readonly anyLength: boolean;
  /** Reads the graph at `path` and makes it ready to run. */
  open(path: string, options?: OpenOptions): Promise<Session>;
  /** Ends the run under way, if there is one, which then rejects. False where the library cannot. */
  cancel(): boolean;
}

/** A graph that is ready to run. One run at a time. */
export interface Session {
  /** Memory for the outputs of a graph whose float32 outputs have static shapes; undefined for any other. */
  outputMemory(): NamedTensors | undefined;
  /** Outputs by name. Those that `outputs` has are written into its tensors and are these. */
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
    case 'openvino': {
      const { openOpenVino } = await import('./openvino-runtime.js');
      return openOpenVino(settings);
    }
    case 'onnxruntime': {
      const { OnnxRuntime } = await import('./onnxruntime-runtime.js');
      return new OnnxRuntime(settings);
    }
  }
}
