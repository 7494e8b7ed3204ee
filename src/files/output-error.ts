import { RvosError } from '../errors.js';

const unwritable: Record<string, string> = {
  EACCES: 'permission denied',
  EPERM: 'operation not permitted',
  EROFS: 'read-only file system',
  ENOENT: 'its folder does not exist',
  ENOTDIR: 'a part of its path is not a folder',
  EISDIR: 'it is a folder',
  ENAMETOOLONG: 'the name is too long',
  ELOOP: 'too many symbolic links',
  ETXTBSY: 'the file is in use',
  EIO: 'input/output error',
  ESTALE: 'its folder is no longer there',
};

/**
 * Turns an operating system error met while writing `target` into the typed one: DISK_FULL or OUTPUT_NOT_WRITABLE.
 * Anything else (RvosError included) comes back unchanged, so that callers can `throw toOutputError(error, target)`.
 */
export function toOutputError(error: unknown, target: string): unknown {
  const code = error instanceof Error ? (error as NodeJS.ErrnoException).code : undefined;
  if (code === 'ENOSPC' || code === 'EDQUOT') return diskFull(target, error);
  if (code === 'EFBIG') return fileTooLarge(target, error);
  const reason = code === undefined ? undefined : unwritable[code];
  if (reason === undefined) return error;
  return new RvosError(
    'OUTPUT_NOT_WRITABLE',
    `cannot write ${target}: ${reason}`,
    'Choose a folder that exists and that you may write to.',
    { cause: error },
  );
}

/** For a file beyond what the file system, or `ulimit -f`, allows. */
export function fileTooLarge(target: string, cause?: unknown): RvosError {
  return new RvosError(
    'OUTPUT_NOT_WRITABLE',
    `cannot write ${target}: it would be larger than files may be here`,
    'Raise the limit (ulimit -f), or choose another file system.',
    { cause },
  );
}

export function diskFull(target: string, cause?: unknown): RvosError {
  return new RvosError(
    'DISK_FULL',
    `no space left while writing ${target}`,
    'Free some space or choose another disk.',
    {
      cause,
    },
  );
}
