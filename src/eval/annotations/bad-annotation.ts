import { RvosError } from '../../errors.js';

/** An annotation file that cannot be used: which one, and why. */
export function badAnnotation(path: string, problem: string, cause?: unknown): RvosError {
  return new RvosError('BAD_DATA_SET', `${path}: ${problem}`, 'Download or extract the annotations again.', { cause });
}

/** Annotation files are small; anything larger is not one. */
export const maxAnnotationBytes = 256 * 2 ** 20;
/** Largest picture an annotation may describe, in pixels, and most objects in it. */
export const maxAnnotationPixels = 1 << 25;
export const maxObjects = 255;
