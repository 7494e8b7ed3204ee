import type { EngineBuildProgress } from '../engines/build-engines.js';
import { RvosError } from '../errors.js';
import type { ModelFolder } from '../model/model-folder.js';
import { loadCore } from '../native/load-core.js';
import type { Backend } from './backend.js';
import { CpuBackend } from './cpu/cpu-backend.js';
import { findOnnxRuntime } from './cpu/load-onnxruntime.js';
import { openTensorRt, tryTensorRt } from './tensorrt/open-tensorrt.js';

export const backendChoices = ['auto', 'tensorrt', 'onnxruntime'] as const;

/** `auto`: TensorRT where addon, GPU and engines of the model are there, else ONNX Runtime. */
export type BackendChoice = (typeof backendChoices)[number];

export interface BackendOptions {
  readonly model: ModelFolder;
  /** CPU threads of ONNX Runtime; default all cores. */
  readonly threads?: number | undefined;
  /** Folder of TensorRT engines; default `$RVOS_ENGINES`, else `engines` in the working folder. */
  readonly engines?: string | undefined;
  /** Build TensorRT engines that are missing, when they are needed. */
  readonly build?: boolean | undefined;
  readonly onBuildProgress?: ((progress: EngineBuildProgress) => void) | undefined;
}

/** What a choice came to. */
export interface ChosenBackend {
  readonly backend: Backend;
  /** Why this one, in words. */
  readonly reason: string;
}

const mostThreads = 1024;

/**
 * Opens what the choice comes to. `tensorrt` never falls back. Throws `RvosError` BACKEND_UNAVAILABLE for a backend that
 * this machine cannot run, with the reason; ADDON_MISSING, BAD_ARGUMENT.
 */
export async function chooseBackend(choice: BackendChoice, options: BackendOptions): Promise<ChosenBackend> {
  const { model, threads } = options;
  if (!backendChoices.includes(choice)) {
    throw new RvosError('BAD_ARGUMENT', `backend ${String(choice)} is unknown`, `It is ${backendChoices.join(', ')}.`);
  }
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `${threads} threads are no number of threads`,
      `Give a whole number from 1 to ${mostThreads}.`,
    );
  }
  if (choice === 'tensorrt') return openTensorRt(options);
  let reason = 'it was asked for';
  if (choice === 'auto') {
    const tried = await tryTensorRt(options);
    if (typeof tried !== 'string') return tried;
    reason = tried;
  }
  loadCore();
  findOnnxRuntime();
  return { backend: new CpuBackend({ model, runtime: 'onnxruntime', threads }), reason };
}

/** The same without the reason. */
export async function openBackend(choice: BackendChoice, options: BackendOptions): Promise<Backend> {
  return (await chooseBackend(choice, options)).backend;
}
