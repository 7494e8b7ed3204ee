/** Stable codes of everything rvos throws on purpose; the message says what and where, the hint says the remedy. */
export type RvosErrorCode =
  | 'BAD_ARGUMENT'
  | 'NOT_FOUND'
  | 'NOT_A_VIDEO'
  | 'NO_FRAMES'
  | 'BAD_FRAME_SIZE'
  | 'BAD_SENTENCE'
  | 'BAD_CHECKPOINT'
  | 'BAD_MODEL_FOLDER'
  | 'BAD_TENSOR_FILE'
  | 'BAD_DATA_SET'
  | 'BAD_STORE'
  | 'CANNOT_LISTEN'
  | 'OUTPUT_EXISTS'
  | 'OUTPUT_NOT_WRITABLE'
  | 'DISK_FULL'
  | 'FFMPEG_MISSING'
  | 'FFMPEG_FAILED'
  | 'OPENCV_MISSING'
  | 'DOWNLOAD_FAILED'
  | 'ADDRESS_REFUSED'
  | 'ADDON_MISSING'
  | 'BACKEND_UNAVAILABLE'
  | 'BACKEND_FAILED'
  | 'ENGINE_MISSING'
  | 'ENGINE_BUILD_FAILED'
  | 'BAD_ENGINE'
  | 'OUT_OF_MEMORY'
  | 'LIMIT_EXCEEDED'
  | 'DEADLINE_EXCEEDED'
  | 'DISPOSED'
  | 'ABORTED';

/**
 * The one error class of the package. `message` is one line; `hint` is the remedy, one line. Its `name` is `RvosError`, or
 * `AbortError` where the code is ABORTED: the name by which programs know that they ended something themselves.
 */
export class RvosError extends Error {
  override readonly name: 'RvosError' | 'AbortError';

  constructor(
    readonly code: RvosErrorCode,
    message: string,
    readonly hint: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = code === 'ABORTED' ? 'AbortError' : 'RvosError';
  }
}

/** What the command line prints for any thrown value: one line, remedy included where there is one. */
export function describeError(error: unknown): string {
  if (error instanceof RvosError) return `${error.message}. ${error.hint}`.replace(/\s+/g, ' ');
  return error instanceof Error ? error.message.replace(/\s+/g, ' ') : String(error);
}

/** The error for an aborted operation; thrown wherever an `AbortSignal` has fired. A deadline tells its own. */
export function abortError(signal?: AbortSignal): RvosError {
  const reason: unknown = signal?.reason;
  if (reason instanceof RvosError && reason.code === 'DEADLINE_EXCEEDED') return reason;
  return new RvosError('ABORTED', 'interrupted', 'Partial output was removed.', { cause: signal?.reason });
}

/** For a call of something after its `dispose()`. */
export function disposedError(what: string): RvosError {
  return new RvosError('DISPOSED', `the ${what} was disposed`, 'Call dispose() when nothing needs it any more.');
}

export function throwIfAborted(signal?: AbortSignal): void {
  if (signal?.aborted) throw abortError(signal);
}
