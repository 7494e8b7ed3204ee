import { RvosError } from '../errors.js';
import type { ModelFolder } from '../model/model-folder.js';
import { loadCore } from '../native/load-core.js';
import type { Backend } from './backend.js';
import { OnnxRuntimeBackend } from './onnxruntime.js';

export const backendChoices = ['auto', 'tensorrt', 'onnxruntime'] as const;

/** `auto`: TensorRT where this build and machine can run it, else ONNX Runtime. */
export type BackendChoice = (typeof backendChoices)[number];

const mostThreads = 1024;

/** Throws `RvosError` BACKEND_UNAVAILABLE for a backend this machine cannot run, ADDON_MISSING, BAD_ARGUMENT. */
export async function openBackend(
  choice: BackendChoice,
  options: { readonly model: ModelFolder; readonly threads?: number | undefined },
): Promise<Backend> {
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
  requireOnnxRuntime(choice);
  loadCore();
  return new OnnxRuntimeBackend({ model, threads });
}

/** Throws `RvosError` BACKEND_UNAVAILABLE unless ONNX Runtime is what the choice comes to. */
export function requireOnnxRuntime(choice: BackendChoice): void {
  if (choice !== 'tensorrt') return;
  throw new RvosError('BACKEND_UNAVAILABLE', 'this build has no TensorRT', 'Use --backend onnxruntime.');
}
