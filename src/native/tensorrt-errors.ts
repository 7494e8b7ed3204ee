import { abortError, RvosError, type RvosErrorCode } from '../errors.js';
import { remedies } from '../installation.js';
import type { NativeErrorCode } from './tensorrt-addon.js';

/** What each failure of the TensorRT addon is to users, and what they can do about it. */
const meanings: Record<
  Exclude<NativeErrorCode, 'CANCELLED'>,
  { readonly code: RvosErrorCode; readonly hint: string }
> = {
  LIBRARY_MISSING: {
    code: 'BACKEND_UNAVAILABLE',
    hint: `Run "${remedies.tensorRt}", or set TENSORRT_ROOT to where TensorRT is; rvos doctor says what is found.`,
  },
  LIBRARY_VERSION: {
    code: 'BACKEND_UNAVAILABLE',
    hint: `Run "${remedies.tensorRt}" again, so that the addon is compiled for the TensorRT that is installed.`,
  },
  NO_DEVICE: {
    code: 'BACKEND_UNAVAILABLE',
    hint: 'Use a machine with an NVIDIA GPU, or --backend onnxruntime; rvos doctor says what is found.',
  },
  DRIVER_TOO_OLD: { code: 'BACKEND_UNAVAILABLE', hint: 'Install a newer NVIDIA driver, or use --backend onnxruntime.' },
  BAD_GRAPH: {
    code: 'ENGINE_BUILD_FAILED',
    hint: 'This TensorRT cannot read the graph: use a newer one, or report the line above as a bug.',
  },
  BAD_PROFILE: { code: 'BAD_ARGUMENT', hint: 'Choose other --windows, --sentences or --tokens.' },
  BAD_TARGET: { code: 'BAD_ARGUMENT', hint: 'rvos doctor lists the targets each TensorRT builds for.' },
  BAD_ENGINE: { code: 'BAD_ENGINE', hint: 'Build it again: rvos build --force.' },
  BAD_ARGUMENT: { code: 'BAD_ARGUMENT', hint: 'See the documentation of the call.' },
  BUILD_FAILED: {
    code: 'ENGINE_BUILD_FAILED',
    hint: 'Smaller --windows, --sentences or --size need less memory; rvos doctor says what this machine has.',
  },
  OUT_OF_MEMORY: {
    code: 'OUT_OF_MEMORY',
    hint: 'Build engines for fewer --windows and --sentences or a smaller --size, or free memory.',
  },
  DISK_FULL: { code: 'DISK_FULL', hint: 'Free some space or choose another disk.' },
  NOT_WRITABLE: { code: 'OUTPUT_NOT_WRITABLE', hint: 'Choose a folder that exists and that you may write to.' },
  DEVICE_FAILED: {
    code: 'BACKEND_FAILED',
    hint: 'Open the model again; if it happens again, nvidia-smi and the kernel log say what the GPU reports.',
  },
  DEVICE_LOST: {
    code: 'BACKEND_FAILED',
    hint: 'Only a new process can use the GPU again: start this one anew; if it happens again, nvidia-smi and the kernel log say what the GPU reports.',
  },
  DISPOSED: { code: 'BACKEND_FAILED', hint: 'It was disposed of: open the model again.' },
};

/** The addon's code of an error, undefined if it did not come from there. */
export function nativeErrorCode(error: unknown): NativeErrorCode | undefined {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (error instanceof RvosError || code === undefined) return undefined;
  return code === 'CANCELLED' || Object.hasOwn(meanings, code) ? (code as NativeErrorCode) : undefined;
}

/**
 * Turns what the TensorRT addon throws into an `RvosError`: one line, with the remedy. `hint` replaces the general
 * remedy where the caller knows a better one. Anything else (RvosError included) comes back unchanged, so that callers
 * can `throw toRvosError(error)`.
 */
export function toRvosError(error: unknown, options: { readonly hint?: string; readonly what?: string } = {}): unknown {
  const code = nativeErrorCode(error);
  if (code === undefined) return error;
  if (code === 'CANCELLED') return abortError();
  const { code: meaning, hint } = meanings[code];
  const said = (error as Error).message.replace(/\s+/g, ' ').trim().replace(/\.$/, '');
  const message = options.what === undefined ? said : `${options.what}: ${said}`;
  return new RvosError(meaning, message, options.hint ?? hint, { cause: error });
}
