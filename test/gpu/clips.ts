import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { openVideo, type RgbFrame } from '../../src/index.js';

/** What scripts/gpu-bundle/clips.mjs writes of a clip: all pixels in one file, sizes and times in another. */
interface DecodedClip {
  readonly width: number;
  readonly height: number;
  readonly times: readonly number[];
}

const decoded = join(import.meta.dirname, 'clips');

/** A clip's frames; a bundle for a machine without ffmpeg brings them decoded. */
export async function clipFrames(video: string): Promise<RgbFrame[]> {
  const file = join(decoded, `${basename(video)}.json`);
  if (!existsSync(file)) {
    const frames: RgbFrame[] = [];
    await using reader = await openVideo(video);
    for await (const frame of reader.frames()) frames.push(frame);
    return frames;
  }
  const { width, height, times } = JSON.parse(readFileSync(file, 'utf8')) as DecodedClip;
  const pixels = readFileSync(file.replace(/json$/, 'rgb'));
  const bytes = width * height * 3;
  return times.map((time, i) => ({ width, height, time, data: pixels.subarray(i * bytes, (i + 1) * bytes) }));
}
