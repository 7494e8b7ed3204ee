import { loadCore } from '../native/load-core.js';
import type { RgbFrame } from '../video/frame.js';
import type { Mask } from './mask.js';
import { checkMask, checkSameSize } from './pixels.js';

/** Red, green, blue, 0…255. */
export type RgbColor = readonly [number, number, number];

/** How strongly a mask covers the picture in the published rendering. */
export const publishedAlpha = 0.7;

/** The four colours of the published rendering, then more that stay apart from these and from one another. */
const palette: readonly RgbColor[] = [
  [41, 171, 226],
  [237, 30, 121],
  [35, 161, 90],
  [255, 148, 59],
  [126, 74, 214],
  [250, 224, 48],
  [150, 82, 26],
  [150, 235, 40],
  [22, 60, 160],
  [255, 160, 220],
  [110, 20, 60],
  [60, 230, 200],
];

/** The colour of the sentence with this index; any number of sentences. */
export function maskColor(index: number): RgbColor {
  return palette[index] ?? spacedColor(index - palette.length);
}

/** Hues a golden angle apart, so that neighbours differ most, on three levels of lightness. */
function spacedColor(index: number): RgbColor {
  // The first hue is the one that keeps furthest from the palette.
  const hue = (350 + index * 137.508) % 360;
  const lightness = [0.5, 0.7, 0.33][index % 3]!;
  const chroma = 0.85 * Math.min(lightness, 1 - lightness);
  const channel = (offset: number): number => {
    const k = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

export interface OverlayOptions {
  /** One a mask; default `maskColor(index)`. */
  readonly colors?: readonly RgbColor[];
  /** 0 (invisible) … 1 (opaque); default 0.7. */
  readonly alpha?: number;
  /** Buffer for the result, at least height·width·3 bytes; default a new one. */
  readonly target?: Uint8Array;
}

/**
 * The frame with masks painted over it in the order given, as the published rendering does; off the event loop. A mask
 * that is undefined is left out, but keeps its colour. Throws `RvosError` BAD_ARGUMENT when sizes differ.
 */
export async function paintMasks(
  frame: RgbFrame,
  masks: readonly (Mask | undefined)[],
  options: OverlayOptions = {},
): Promise<RgbFrame> {
  const { width, height } = frame;
  const bytes = width * height * 3;
  const target = options.target ?? new Uint8Array(bytes);
  const shown = masks.flatMap((mask, index) => (mask ? [{ mask, index }] : []));
  for (const { mask } of shown) {
    checkSameSize(mask, frame);
    checkMask(mask);
  }
  await loadCore().overlay({
    source: frame.data,
    height,
    width,
    masks: shown.map(({ mask }) => mask.bits),
    colors: Uint8Array.from(shown.flatMap(({ index }) => [...(options.colors?.[index] ?? maskColor(index))])),
    alpha: options.alpha ?? publishedAlpha,
    target,
  });
  return { ...frame, data: target.subarray(0, bytes) };
}
