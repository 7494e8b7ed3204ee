type Numbers = ArrayLike<number>;

/** Largest difference divided by the root mean square of what is expected; NaN anywhere counts as infinite. */
export function worstError(expected: Numbers, found: Numbers): number {
  if (expected.length !== found.length) throw new Error(`${found.length} values where ${expected.length} are expected`);
  let squares = 0;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) {
    squares += expected[i]! ** 2;
    const difference = Math.abs(expected[i]! - found[i]!);
    if (!(difference <= worst)) worst = Number.isNaN(difference) ? Number.POSITIVE_INFINITY : difference;
  }
  return worst / Math.sqrt(squares / expected.length);
}

/** Root mean square of the difference divided by that of what is expected. */
export function rmsError(expected: Numbers, found: Numbers): number {
  let squares = 0;
  let errors = 0;
  for (let i = 0; i < expected.length; i++) {
    squares += expected[i]! ** 2;
    errors += (expected[i]! - found[i]!) ** 2;
  }
  return Math.sqrt(errors / squares);
}

/** Intersection over union of two sets of logits above 0. */
export function maskIou(a: Numbers, b: Numbers): number {
  let intersection = 0;
  let union = 0;
  for (let i = 0; i < a.length; i++) {
    const x = a[i]! > 0;
    const y = b[i]! > 0;
    if (x && y) intersection++;
    if (x || y) union++;
  }
  return union === 0 ? 1 : intersection / union;
}

/** Repeatable noise of about unit variance. */
export function noise(length: number, seed: number): Float32Array {
  let state = seed >>> 0 || 1;
  return Float32Array.from({ length }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state / 2 ** 32 - 0.5) * 3.46;
  });
}
