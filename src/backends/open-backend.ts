import type { EngineBuildProgress } from '../engines/build-engines.js';
import { RvosError } from '../errors.js';
import type { ModelFolder } from '../model/model-folder.js';
import { hasNvidiaDriver } from '../native/nvidia-driver.js';
import type { Backend } from './backend.js';
import { openOnnxRuntimeBackend, openOpenVinoBackend, tryOpenVino } from './cpu/open-cpu.js';
import { type ComputePrecision, computePrecisions } from './cpu/precision.js';
import { openTensorRt, tryTensorRt } from './tensorrt/open-tensorrt.js';

export const backendChoices = ['auto', 'tensorrt', 'openvino', 'onnxruntime'] as const;

/**
 * `auto`: TensorRT where addon, GPU and engines of the model are there, else OpenVINO where it is found, else ONNX Runtime;
 * of these the first that can compute in the precision asked for.
 */
export type BackendChoice = (typeof backendChoices)[number];

export interface BackendOptions {
  readonly model: ModelFolder;
  /** CPU threads of the network; default all cores. */
  readonly threads?: number | undefined;
  /**
   * What a CPU computes in. OpenVINO knows `fp32` and, where the processor multiplies it, `bf16`; ONNX Runtime `fp32`;
   * TensorRT's is that of its engines. Default `auto`: the fastest that keeps the masks.
   */
  readonly precision?: ComputePrecision | undefined;
  /**
   * OpenVINO's C library or the folder it lies in; default `$RVOS_OPENVINO_LIBRARY`, else the platform package of rvos, else
   * what `npm run setup:native -- --openvino` fetched.
   */
  readonly openvinoLibrary?: string | undefined;
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
 * Opens what the choice comes to. A backend that is named never falls back. Throws `RvosError`: BACKEND_UNAVAILABLE for a
 * backend or precision that this machine cannot run, with the reason; ADDON_MISSING; BAD_ARGUMENT, also for a precision that
 * the backend named never has.
 */
export async function chooseBackend(choice: BackendChoice, options: BackendOptions): Promise<ChosenBackend> {
  const { threads, precision = 'auto' } = options;
  checkChoices(choice, precision);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= mostThreads)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `${threads} threads are no number of threads`,
      `Give a whole number from 1 to ${mostThreads}.`,
    );
  }
  switch (choice) {
    case 'tensorrt':
      return openTensorRt(options);
    case 'openvino':
      return openOpenVinoBackend(options);
    case 'onnxruntime': {
      const { backend } = openOnnxRuntimeBackend(options);
      return { backend, reason: 'it was asked for' };
    }
    case 'auto':
      return firstUsable(options, precision);
  }
}

async function firstUsable(options: BackendOptions, precision: ComputePrecision): Promise<ChosenBackend> {
  const reasons: string[] = [];
  if (precision === 'auto') {
    const tried = await tryTensorRt(options);
    if (typeof tried !== 'string') return tried;
    if (hasNvidiaDriver()) reasons.push(tried);
  }
  const tried = await tryOpenVino(options);
  if (!(tried instanceof RvosError)) return tried;
  if (precision === 'bf16') throw tried;
  reasons.push(tried.message);
  const { backend } = openOnnxRuntimeBackend(options);
  return { backend, reason: reasons.join('; ') };
}

/** Throws BAD_ARGUMENT for what is unknown, and for a precision that the backend named never has. */
export function checkChoices(choice: BackendChoice, precision: ComputePrecision): void {
  if (!backendChoices.includes(choice)) {
    throw new RvosError('BAD_ARGUMENT', `backend ${String(choice)} is unknown`, `It is ${backendChoices.join(', ')}.`);
  }
  if (!computePrecisions.includes(precision)) {
    const known = `It is ${computePrecisions.join(', ')}.`;
    throw new RvosError('BAD_ARGUMENT', `precision ${String(precision)} is unknown`, known);
  }
  const knows = {
    auto: computePrecisions,
    tensorrt: ['auto'],
    openvino: computePrecisions,
    onnxruntime: ['auto', 'fp32'],
  };
  if (!(knows[choice] as readonly string[]).includes(precision)) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `backend ${choice} has no precision ${precision}`,
      `It knows ${knows[choice].join(' and ')}; --backend openvino knows all.`,
    );
  }
}

/** The same without the reason. */
export async function openBackend(choice: BackendChoice, options: BackendOptions): Promise<Backend> {
  return (await chooseBackend(choice, options)).backend;
}
