import { argument, type Expectation } from '../arguments.js';
import type { RgbColor } from '../masks/overlay.js';
import { type VideoCodec, videoCodecs } from '../video/video-codec.js';

/** How a masked video looks, and how it is encoded. */
export interface MaskedVideoStyle {
  /** A strip with each sentence in its colour above the picture; default true. */
  readonly captions?: boolean | undefined;
  /** Red, green, blue (0…255), one a sentence; a sentence without has the colour that rvos gives it. */
  readonly colors?: readonly RgbColor[] | undefined;
  /** How strongly masks cover the picture, 0 (not at all) … 1 (completely); default 0.7, as published. */
  readonly opacity?: number | undefined;
  /** Default `h264`, which every browser plays. Others need an ffmpeg that has their encoder. */
  readonly codec?: VideoCodec | undefined;
  /** 0 (small file) … 100 (no loss that H.264's scale knows); default 65, where the eye sees no difference. */
  readonly quality?: number | undefined;
}

const isColor = (value: unknown) =>
  Array.isArray(value) &&
  value.length === 3 &&
  value.every((part) => Number.isInteger(part) && part >= 0 && part <= 255);

/** @internal */
export const maskedVideoStyle: Record<keyof MaskedVideoStyle, Expectation> = {
  captions: argument.flag,
  colors: {
    expected: 'a list of colours, as [[255, 0, 0], [0, 128, 255]]',
    accepts: (value) => Array.isArray(value) && value.every(isColor),
  },
  opacity: argument.number(0, 1),
  codec: argument.oneOf(videoCodecs),
  quality: argument.number(0, 100),
};
