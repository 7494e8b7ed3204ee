/** A ratio of two whole numbers ≥ 1. */
export interface Ratio {
  readonly numerator: number;
  readonly denominator: number;
}

export const squarePixels: Ratio = { numerator: 1, denominator: 1 };

/** As ffmpeg and the JSON write it, `64:45`. */
export function ratioText({ numerator, denominator }: Ratio): string {
  return `${numerator}:${denominator}`;
}

/** The ratio in lowest terms; square pixels for a ratio that a file leaves open (0:1). */
export function sampleAspect(numerator: number, denominator: number): Ratio {
  if (!(numerator > 0 && denominator > 0)) return squarePixels;
  let [a, b] = [numerator, denominator];
  while (b > 0) [a, b] = [b, a % b];
  return { numerator: numerator / a, denominator: denominator / a };
}

/** Reads `64:45` as ffprobe prints it. */
export function parseRatio(text: string | undefined): Ratio {
  const [numerator = 0, denominator = 0] = (text ?? '').split(/[:/]/).map(Number);
  return sampleAspect(numerator, denominator);
}

export function isSquare({ numerator, denominator }: Ratio): boolean {
  return numerator === denominator;
}

/** Width of a pixel over its height. */
export function pixelAspect({ numerator, denominator }: Ratio): number {
  return numerator / denominator;
}
