import { RvosError } from '../../errors.js';

/** One part of what rvos stands on. */
export interface Finding {
  readonly part: string;
  /** `optional`: not usable, and rvos works without it; `missing` and `broken` make the command fail. */
  readonly state: 'ok' | 'optional' | 'missing' | 'broken';
  readonly detail: string;
  readonly remedy?: string | undefined;
  /** The same for programs, with `--json` alone. */
  readonly facts?: unknown;
}

/** The finding of a part that is there if looking at it does not throw. */
export async function found(part: string, look: () => string | Promise<string>): Promise<Finding> {
  try {
    return { part, state: 'ok', detail: await look() };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { part, state: 'missing', detail, remedy: error instanceof RvosError ? error.hint : undefined };
  }
}

export function gigabytes(bytes: number): string {
  return `${(bytes / 2 ** 30).toFixed(1)} GB`;
}
