import { setImmediate as nextTurn } from 'node:timers/promises';
import { sharp } from '../native/sharp.js';
import type { RgbFrame } from '../video/frame.js';
import type { Mask } from './mask.js';
import { checkMask, checkSameSize } from './pixels.js';

export interface CutoutOptions {
  /**
   * Colours of transparent pixels: `cleared` to black (small pictures, nothing of the background is given away), or
   * `kept`, so that an encoder with coarse chroma, such as WebM's, does not darken the object's edge.
   */
  readonly hidden?: 'cleared' | 'kept';
}

/** Pixels that are worked on before other work of the process gets its turn: about a millisecond. */
const slice = 1 << 18;

/**
 * The frame with the mask as alpha: RGBA, row-major, uint8 [height, width, 4], alpha 0 or 255. Done in slices, so that a large
 * frame does not keep the event loop. Rejects with `RvosError` BAD_ARGUMENT when sizes differ.
 */
export async function cutOut(frame: RgbFrame, mask: Mask, options: CutoutOptions = {}): Promise<Uint8Array> {
  checkSameSize(mask, frame);
  checkMask(mask);
  const pixels = frame.width * frame.height;
  const kept = options.hidden === 'kept';
  const { data } = frame;
  const { bits } = mask;
  const rgba = new Uint8Array(pixels * 4);
  for (let i = 0; i < pixels; i++) {
    if (i > 0 && i % slice === 0) await nextTurn();
    const shown = (bits[i >> 3]! & (0x80 >> (i & 7))) !== 0;
    if (!shown && !kept) continue;
    rgba[4 * i] = data[3 * i]!;
    rgba[4 * i + 1] = data[3 * i + 1]!;
    rgba[4 * i + 2] = data[3 * i + 2]!;
    rgba[4 * i + 3] = shown ? 255 : 0;
  }
  return rgba;
}

/** The cut-out as a PNG with alpha. */
export async function cutOutPng(frame: RgbFrame, mask: Mask, options: CutoutOptions = {}): Promise<Buffer> {
  const raw = { width: frame.width, height: frame.height, channels: 4 } as const;
  return await sharp(await cutOut(frame, mask, options), { raw })
    .png()
    .toBuffer();
}
