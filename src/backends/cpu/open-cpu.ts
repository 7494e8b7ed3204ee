import { RvosError } from '../../errors.js';
import type { ModelFolder } from '../../model/model-folder.js';
import { loadCore } from '../../native/load-core.js';
import { CpuBackend } from './cpu-backend.js';
import { findOpenVino } from './find-openvino.js';
import { findOnnxRuntime } from './load-onnxruntime.js';
import { type ComputePrecision, choosePrecision } from './precision.js';
import { processor } from './processor.js';

export interface CpuChoice {
  readonly model: ModelFolder;
  readonly threads?: number | undefined;
  readonly precision?: ComputePrecision | undefined;
  /** OpenVINO's C library or the folder it lies in; see `findOpenVino`. */
  readonly openvinoLibrary?: string | undefined;
}

export interface OpenedCpu {
  readonly backend: CpuBackend;
  /** Library and precision, in words. */
  readonly reason: string;
}

/** OpenVINO. Throws `RvosError` BACKEND_UNAVAILABLE with the reason where it cannot be used, ADDON_MISSING. */
export async function openOpenVinoBackend(choice: CpuChoice): Promise<OpenedCpu> {
  const { model, threads, openvinoLibrary } = choice;
  const { vectors, model: name } = processor();
  if (!vectors) {
    const remedy = 'Use --backend onnxruntime.';
    throw new RvosError('BACKEND_UNAVAILABLE', `OpenVINO needs AVX2, which the processor (${name}) lacks`, remedy);
  }
  const { library, where } = findOpenVino(openvinoLibrary);
  const { precision, reason } = choosePrecision('openvino', choice.precision);
  loadCore();
  const backend = new CpuBackend({ model, runtime: 'openvino', threads, precision, library });
  try {
    const version = await backend.ready();
    return { backend, reason: `OpenVINO ${version} of ${where}; ${precision}: ${reason}` };
  } catch (error) {
    await backend.dispose();
    throw error;
  }
}

/** The same for `auto`: why it cannot be used, in words. */
export async function tryOpenVino(choice: CpuChoice): Promise<OpenedCpu | RvosError> {
  try {
    return await openOpenVinoBackend(choice);
  } catch (error) {
    if (error instanceof RvosError && error.code === 'BACKEND_UNAVAILABLE') return error;
    throw error;
  }
}

/** ONNX Runtime. Throws `RvosError` BACKEND_UNAVAILABLE, ADDON_MISSING. */
export function openOnnxRuntimeBackend({ model, threads, precision: asked }: CpuChoice): OpenedCpu {
  const { precision, reason } = choosePrecision('onnxruntime', asked);
  loadCore();
  findOnnxRuntime();
  const backend = new CpuBackend({ model, runtime: 'onnxruntime', threads, precision });
  return { backend, reason: `${precision}: ${reason}` };
}
