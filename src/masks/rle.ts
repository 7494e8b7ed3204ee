import { z } from 'zod';

import { RvosError } from '../errors.js';
import { loadCore } from '../native/load-core.js';
import type { Mask } from './mask.js';

/** A mask as COCO stores it: size [height, width] and compressed column-major run lengths. */
export interface CocoRle {
  readonly size: readonly [number, number];
  readonly counts: string;
}

/** What a COCO RLE object from a file must look like; the run lengths themselves are checked by `decodeRle`. @internal */
export const cocoRleSchema = z.object({
  size: z.tuple([z.number().int().positive(), z.number().int().positive()]),
  counts: z.string(),
});

export function encodeRle(mask: Mask): CocoRle {
  return {
    size: [mask.height, mask.width],
    counts: loadCore().rleEncode(mask.bits, mask.height, mask.width),
  };
}

/** Throws `RvosError` BAD_ARGUMENT for a malformed string, one that does not fill its size, or a size beyond 2^28 pixels. */
export function decodeRle(rle: CocoRle): Mask {
  const [height, width] = rle.size;
  try {
    return { width, height, bits: loadCore().rleDecode(rle.counts, height, width) };
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof TypeError)) throw cause;
    throw new RvosError(
      'BAD_ARGUMENT',
      `not a COCO run-length mask of ${height}×${width}: ${cause.message}`,
      'Give {size: [height, width], counts} with compressed counts, as pycocotools writes them.',
      { cause },
    );
  }
}
