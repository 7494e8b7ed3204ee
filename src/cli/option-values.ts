import { InvalidArgumentError, Option } from 'commander';
import { computePrecisions } from '../backends/cpu/precision.js';
import type { Size } from '../preprocess/size-rule.js';
import { cleanSentence } from '../text/clean.js';
import { parseTime } from '../video/timestamps.js';
import { UsageError } from './usage-error.js';

/** A number from `least` to `most`, both allowed. */
export function numberOption(least: number, most = Number.POSITIVE_INFINITY): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() === '' || !(value >= least && value <= most))
      throw new InvalidArgumentError(`${range('number', least, most)}.`);
    return value;
  };
}

/** A whole number from `least` to `most`, both allowed. */
export function integerOption(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !(value >= least && value <= most)) {
      throw new InvalidArgumentError(`${range('whole number', least, most)}.`);
    }
    return value;
  };
}

function range(what: string, least: number, most: number): string {
  return Number.isFinite(most)
    ? `A ${what} from ${least} to ${most} is expected`
    : `A ${what} of at least ${least} is expected`;
}

/** Seconds, or `[h…:]m:ss[.fff]`, the form in which times are printed. */
export function timeOption(text: string): number {
  const seconds = parseTime(text);
  if (seconds === undefined) {
    throw new InvalidArgumentError('Seconds are expected, as 62.5, or minutes and seconds, as 1:02.5 or 00:01:02.500.');
  }
  return seconds;
}

/** A stream's number as ffprobe gives it, or `none`. */
export function audioStreamOption(text: string): number | 'none' {
  return text === 'none' ? text : integerOption(0, 9999)(text);
}

/** HEIGHTxWIDTH in pixels. */
export function sizeOption(text: string): Size {
  const match = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(text);
  if (!match) throw new InvalidArgumentError('HEIGHTxWIDTH in pixels is expected, as 360x640.');
  return { height: Number(match[1]), width: Number(match[2]) };
}

/** Throws BAD_SENTENCE, as wrong usage, for a sentence without a word. */
export function checkNoEmptySentence(sentences: readonly string[]): void {
  if (sentences.every((sentence) => cleanSentence(sentence) !== '')) return;
  throw new UsageError(
    'BAD_SENTENCE',
    'a sentence is empty',
    'Describe the object to segment, as in "the dog on the left".',
  );
}

/** `--precision`, as every command that runs the network has it. */
export function precisionOption(): Option {
  return new Option(
    '--precision <kind>',
    'what a CPU computes in; bf16 takes OpenVINO and a processor that multiplies it',
  )
    .choices(computePrecisions)
    .default('auto');
}
