import { RvosError } from '../../errors.js';

const remedy = 'Download the checkpoint again, or save it with torch.save or as safetensors.';

/** `<path> <what>` as an `RvosError` BAD_CHECKPOINT. */
export function badCheckpoint(path: string, what: string, cause?: unknown, hint = remedy): RvosError {
  return new RvosError('BAD_CHECKPOINT', `${path} ${what}`, hint, { cause });
}
