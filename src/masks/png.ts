import { RvosError } from '../errors.js';
import { sharp } from '../native/sharp.js';
import type { Mask } from './mask.js';
import { maskFromPixels, maskToPixels } from './pixels.js';

/** An 8-bit grayscale PNG, 0 or 255 a pixel: the form Refer-YouTube-VOS' evaluation takes. */
export async function encodeMaskPng(mask: Mask): Promise<Buffer> {
  return await sharp(maskToPixels(mask), { raw: { width: mask.width, height: mask.height, channels: 1 } })
    .toColourspace('b-w')
    .png({ compressionLevel: 6 })
    .toBuffer();
}

/**
 * Reads a mask from a picture (PNG or any format sharp knows; colour is turned into gray): levels of 128 and more are
 * set. Throws `RvosError` BAD_ARGUMENT when it cannot be decoded or has more than 2^28 pixels.
 */
export async function decodeMaskPng(picture: Uint8Array): Promise<Mask> {
  try {
    const { data, info } = await sharp(picture, { limitInputPixels: 1 << 28 })
      .removeAlpha()
      .toColourspace('b-w')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return maskFromPixels(data, info.width, info.height);
  } catch (cause) {
    if (cause instanceof RvosError) throw cause;
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new RvosError('BAD_ARGUMENT', `not a mask picture: ${reason}`, 'Give a PNG with 0 and 255.', { cause });
  }
}
