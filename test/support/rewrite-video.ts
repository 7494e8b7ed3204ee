import { type MaskedVideoOptions, MaskedVideoWriter } from '../../src/video/masked-video-writer.js';
import { openVideo } from '../../src/video/open-video.js';

/** Decodes `input` and writes its frames unchanged as a masked video, sound included. */
export async function rewriteVideo(
  input: string,
  output: string,
  trim: { start?: number; end?: number } = {},
  more: Partial<MaskedVideoOptions> = {},
  warnings: string[] = [],
) {
  const reader = await openVideo(input, trim);
  const { width, height, frameRate, sampleAspect, sound } = reader.info;
  const writer = await MaskedVideoWriter.open(output, {
    width,
    height,
    frameRate,
    sampleAspect,
    captions: [],
    ...(sound && { audioFrom: { path: input, sound, ...trim } }),
    ...more,
  });
  for await (const frame of reader.frames()) {
    await writer.write(frame);
    reader.release?.(frame);
  }
  await writer.finish();
  warnings.push(...writer.warnings);
}
