import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { writeFileAtomic } from '../files/atomic-output.js';
import type { Mask } from '../masks/mask.js';
import { paintMasks } from '../masks/overlay.js';
import { sharp } from '../native/sharp.js';
import type { RgbFrame } from '../video/frame.js';

/** One frame of a sample with what is annotated and what was found. */
export interface SamplePicture {
  readonly id: string;
  readonly sentence: string;
  readonly frame: RgbFrame;
  readonly truth?: Mask | undefined;
  readonly predicted: Mask;
}

const pictureWidth = 320;
const gap = 4;

/** Name of a sample's picture: ids come from annotations and are no file names. */
export function pictureName(id: string): string {
  const plain = id.replace(/[^A-Za-z0-9_-]/g, '_').slice(0, 80);
  return `${plain}-${createHash('sha256').update(id).digest('hex').slice(0, 8)}.jpg`;
}

/** Writes annotation and prediction side by side, 320 pixels wide each. */
export async function writePicture(folder: string, { id, frame, truth, predicted }: SamplePicture): Promise<void> {
  const width = Math.min(pictureWidth, frame.width);
  const height = Math.max(1, Math.round((frame.height * width) / frame.width));
  const halves = await Promise.all(
    [truth, predicted].map(async (mask) => {
      const { data } = await paintMasks(frame, [mask], { alpha: 0.55 });
      const raw = { width: frame.width, height: frame.height, channels: 3 } as const;
      return sharp(data, { raw }).resize(width, height).png().toBuffer();
    }),
  );
  const jpeg = await sharp({ create: { width: 2 * width + gap, height, channels: 3, background: '#fff' } })
    .composite(halves.map((input, i) => ({ input, left: i * (width + gap), top: 0 })))
    .jpeg({ quality: 80 })
    .toBuffer();
  await writeFileAtomic(join(folder, pictureName(id)), jpeg, { force: true });
}
