import { parseByteSize } from './byte-size.js';
import { RvosError } from './errors.js';

/** What an argument or option may be: in words for the error, and as a test. */
export interface Expectation {
  readonly expected: string;
  readonly accepts: (value: unknown) => boolean;
}

const isNumber = (value: unknown): value is number => typeof value === 'number' && !Number.isNaN(value);

/** The usual expectations. Limits belong to them. */
export const argument = {
  text: { expected: 'a text that is not empty', accepts: (value) => typeof value === 'string' && value !== '' },
  flag: { expected: 'true or false', accepts: (value) => typeof value === 'boolean' },
  callback: { expected: 'a function', accepts: (value) => typeof value === 'function' },
  signal: {
    expected: 'an AbortSignal',
    // By what it can do: those of other realms and of polyfills are signals, too.
    accepts: (value) =>
      typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value,
  },
  number: (least: number, most = Number.POSITIVE_INFINITY): Expectation => ({
    expected: Number.isFinite(most) ? `a number from ${least} to ${most}` : `a number of at least ${least}`,
    accepts: (value) => isNumber(value) && value >= least && value <= most,
  }),
  integer: (least: number, most: number): Expectation => ({
    expected: `a whole number from ${least} to ${most}`,
    accepts: (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
  }),
  byteSize: {
    expected: 'a number of bytes, as 4e9, "4GB" or "4GiB"',
    accepts: (value) => {
      try {
        return (typeof value === 'number' || typeof value === 'string') && parseByteSize(value, '') >= 0;
      } catch {
        return false;
      }
    },
  },
  oneOf: (values: readonly string[]): Expectation => ({
    expected: `one of ${values.map((value) => JSON.stringify(value)).join(', ')}`,
    accepts: (value) => values.includes(value as string),
  }),
  either: (one: Expectation, other: Expectation): Expectation => ({
    expected: `${one.expected} or ${other.expected}`,
    accepts: (value) => one.accepts(value) || other.accepts(value),
  }),
} satisfies Record<string, Expectation | ((...limits: never[]) => Expectation)>;

/** An argument that cannot be taken: its name, what was expected and what came. */
export class ArgumentError extends RvosError {
  constructor(
    readonly argument: string,
    readonly expected: string,
    readonly received: string,
    hint: string,
  ) {
    super('BAD_ARGUMENT', `${argument} is ${received}, where ${expected} is expected`, hint);
  }
}

/** Throws BAD_ARGUMENT unless the value is what is expected. */
export function checkArgument(name: string, value: unknown, { expected, accepts }: Expectation): void {
  if (!accepts(value)) throw new ArgumentError(name, expected, describe(value), `Give ${expected}.`);
}

/**
 * Checks the options of a call at the border: each known one that is given, and that there are no others. Throws
 * BAD_ARGUMENT; for an unknown option it names the nearest known one.
 */
export function checkOptions(call: string, options: unknown, known: Readonly<Record<string, Expectation>>): void {
  checkArgument(`the options of ${call}`, options, {
    expected: 'an object',
    accepts: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  });
  for (const [name, value] of Object.entries(options as object)) {
    const expectation = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!expectation) throw unknownOption(call, name, Object.keys(known));
    if (value !== undefined) checkArgument(`option ${name} of ${call}`, value, expectation);
  }
}

function unknownOption(call: string, name: string, known: readonly string[]): ArgumentError {
  const near = nearest(name, known);
  const hint = near ? `Did you mean ${near}?` : `It takes ${known.join(', ')}.`;
  return new ArgumentError(`option ${name} of ${call}`, 'a known option', 'unknown', hint);
}

/** The known name that a typing mistake or two lead away from; undefined if none is near. */
function nearest(name: string, known: readonly string[]): string | undefined {
  const ranked = known
    .map((other) => ({ other, distance: editDistance(name.toLowerCase(), other.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance);
  const [best] = ranked;
  return best && best.distance <= Math.max(2, Math.floor(name.length / 3)) ? best.other : undefined;
}

/** Levenshtein's: letters to insert, remove or replace. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length]!;
}

function describe(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'string') return value === '' ? 'an empty text' : JSON.stringify(value.slice(0, 60));
  if (typeof value === 'number' || typeof value === 'boolean' || typeof value === 'bigint') return String(value);
  if (typeof value === 'function') return 'a function';
  if (typeof value === 'symbol') return 'a symbol';
  return Array.isArray(value) ? 'an array' : `an object (${value.constructor?.name ?? 'without class'})`;
}
