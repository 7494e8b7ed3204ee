/**
 * A time in the published pipeline's format `%02d:%02d:%06.3f`: hours, minutes, seconds with milliseconds, e.g.
 * `00:01:02.500`. `seconds` ≥ 0; hours grow beyond two digits when they must. Like the original, minutes are split off
 * before rounding, so 59.9996 s is `00:00:60.000`.
 */
export function timestamp(seconds: number): string {
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor((seconds % 3600) / 60);
  const rest = threeDecimals(seconds % 60).padStart(6, '0');
  return `${String(hours).padStart(2, '0')}:${String(minutes).padStart(2, '0')}:${rest}`;
}

/** C's and Python's `%.3f` round a tie to even, JavaScript's toFixed upwards; ties are the odd multiples of 1/16. */
function threeDecimals(value: number): string {
  const tie = Math.abs((value * 16) % 2) === 1;
  if (!tie) return value.toFixed(3);
  const lower = Math.floor(value * 1000);
  return ((lower % 2 === 0 ? lower : lower + 1) / 1000).toFixed(3);
}

/**
 * Seconds of a time as people write it: a number of seconds, or `[h…:]m:ss[.fff]` with minutes of one or two digits, which
 * `timestamp`'s own form is one of. Undefined for anything else.
 */
export function parseTime(text: string): number | undefined {
  if (/^\d+(\.\d*)?$|^\.\d+$/.test(text)) return Number(text);
  // A timestamp's seconds may round up to 60.000.
  const match = /^(?:(\d+):)?(\d{1,2}):([0-5]\d(?:\.\d+)?|60(?:\.0+)?)$/.exec(text);
  if (match === null) return undefined;
  const [, hours = '0', minutes, seconds] = match;
  if (match[1] !== undefined && Number(minutes) > 59) return undefined;
  return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
}
