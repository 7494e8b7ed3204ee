import { RvosError } from './errors.js';

const units: Record<string, number> = {
  '': 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};

/**
 * Reads a number of bytes as people write it: `4GB` (10^9), `512 MiB` (2^20), `1.5gb`, `1000000`. A number is taken as it is.
 * Throws `RvosError` BAD_ARGUMENT, naming `what`, for anything else.
 */
export function parseByteSize(value: string | number, what: string): number {
  const [, digits, unit] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]*)\s*$/i.exec(String(value)) ?? [];
  const bytes = Math.floor(Number(digits) * (units[(unit ?? '?').toUpperCase()] ?? Number.NaN));
  if (Number.isSafeInteger(bytes)) return bytes;
  throw new RvosError(
    'BAD_ARGUMENT',
    `${what} ${JSON.stringify(value)} is no number of bytes`,
    'Write it as 4GB (10^9), 512MiB (2^20) or 1000000.',
  );
}

/** The same in words, with all digits behind them: sizes that differ by little must not look alike. */
export function formatByteSize(bytes: number): string {
  const exact = `${bytes.toLocaleString('en-US')} bytes`;
  return bytes < 1e6 ? exact : `${formatRoughly(bytes)} (${exact})`;
}

/** `418.2 MB`. */
export function formatRoughly(bytes: number): string {
  const [divisor, unit] = bytes >= 1e9 ? ([1e9, 'GB'] as const) : bytes >= 1e6 ? ([1e6, 'MB'] as const) : [1e3, 'kB'];
  return `${(bytes / divisor).toFixed(bytes >= 1e9 ? 2 : 1)} ${unit}`;
}
