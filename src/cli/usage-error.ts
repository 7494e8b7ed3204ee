import { RvosError } from '../errors.js';
import { UnknownModelError } from '../pull/pulled-models.js';

/** Wrong usage, whatever the code: the command line ends with 2. BAD_ARGUMENT always is. */
export class UsageError extends RvosError {}

export function isUsageError(error: unknown): boolean {
  if (error instanceof UnknownModelError) return true;
  return error instanceof UsageError || (error instanceof RvosError && error.code === 'BAD_ARGUMENT');
}
