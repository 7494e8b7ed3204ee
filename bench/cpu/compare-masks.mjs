// Do two columns say the same? Masks of the object query that FP32 chose, compared by their intersection over union.
import { readFile } from 'node:fs/promises';
import { decodeRle } from '../../dist/index.js';
import { loadCore } from '../../dist/native/load-core.js';

/** Masks as bytes, one after another, frames of a sentence together: as PyTorch's columns write them. */
export async function packedMasks(path, { frames, size, sentences }) {
  const data = await readFile(path);
  const bytes = Math.ceil((size.height * size.width) / 8);
  if (data.length !== bytes * frames * sentences) throw new Error(`${path} has ${data.length} bytes`);
  return Array.from({ length: frames * sentences }, (_, i) => data.subarray(i * bytes, (i + 1) * bytes));
}

/** The same from masks.json. */
export async function masksOfJson(path) {
  const { masks } = JSON.parse(await readFile(path, 'utf8'));
  return masks.flat().map((rle) => decodeRle(rle).bits);
}

/** The least of the sentences' IoU, all frames of a sentence together; two empty masks are equal. */
export function leastOverlap(masks, others, sentences) {
  if (masks.length !== others.length) throw new Error(`${masks.length} masks against ${others.length}`);
  const frames = masks.length / sentences;
  let least = 1;
  for (let p = 0; p < sentences; p++) {
    let intersection = 0;
    let union = 0;
    for (let t = 0; t < frames; t++) {
      const overlap = loadCore().maskOverlap(masks[p * frames + t], others[p * frames + t]);
      intersection += overlap.intersection;
      union += overlap.union;
    }
    least = Math.min(least, union === 0 ? 1 : intersection / union);
  }
  return least;
}
