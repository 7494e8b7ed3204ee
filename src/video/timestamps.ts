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
