import { type Coverage, render } from './render-text.js';

export interface Caption {
  readonly text: string;
  /** Red, green, blue, 0…255. */
  readonly color: readonly [number, number, number];
}

/** The published height of a strip is 36 pixels, for pictures of 360 lines. */
const publishedStrip = 36;

/** Height in pixels of each of `count` strips above a picture: even, in proportion, and never more than the picture together. */
export function stripHeight(pictureHeight: number, count: number): number {
  const proportional = (publishedStrip * pictureHeight) / 360;
  const wanted = Math.min(Math.max(proportional, 18), 4 * publishedStrip);
  const room = Math.max(pictureHeight / Math.max(1, count), 12);
  return 2 * Math.round(Math.min(wanted, room) / 2);
}

/** Strips for all captions, one below the other: uint8 [captions · height, width, 3], text centred on black. */
export async function captionStrips(captions: readonly Caption[], width: number, height: number): Promise<Uint8Array> {
  const strips = new Uint8Array(width * height * captions.length * 3);
  for (const [index, { text, color }] of captions.entries()) {
    const margin = Math.min(Math.round(height / 3), Math.floor(width / 16));
    const coverage = await fitText(text, width - 2 * margin, Math.round(height * 0.72));
    const left = Math.floor((width - coverage.width) / 2);
    const top = index * height + Math.floor((height - coverage.height) / 2);
    paint(strips, width, coverage, left, top, color);
  }
  return strips;
}

/** Blends text into RGB pixels that are `width` wide. The text must lie inside. */
export function paint(
  pixels: Uint8Array,
  width: number,
  text: Coverage,
  left: number,
  top: number,
  color: readonly [number, number, number],
): void {
  for (let y = 0; y < text.height; y++) {
    for (let x = 0; x < text.width; x++) {
      const alpha = text.data[y * text.width + x]! / 255;
      if (alpha === 0) continue;
      const at = ((top + y) * width + left + x) * 3;
      for (let c = 0; c < 3; c++) pixels[at + c] = Math.round(pixels[at + c]! * (1 - alpha) + color[c]! * alpha);
    }
  }
}

/** Longest text that is looked at: what is beyond could not be read in any strip. */
const longestText = 400;
/** Long text shrinks to this part of its size before it is cut. */
const smallest = 0.6;

/**
 * One line of text within `maxWidth`×`lineHeight` pixels: long text is set smaller, then cut with an ellipsis. Control
 * characters become blanks; markup in the text is shown as it is.
 */
export async function fitText(text: string, maxWidth: number, lineHeight: number): Promise<Coverage> {
  const clean = [...text.replace(/[\p{C}\p{Z}\s]+/gu, ' ').trim()];
  const line = clean.slice(0, longestText).join('');
  const full = lineHeight * 0.8;
  const first = await render(line, full);
  if (clean.length <= longestText && fits(first, maxWidth, lineHeight)) return first;
  const scale = Math.max(smallest, Math.min(1, maxWidth / first.width, lineHeight / first.height) * 0.98);
  const shrunk = await render(line, full * scale);
  if (clean.length <= longestText && fits(shrunk, maxWidth, lineHeight)) return shrunk;
  let low = 0;
  let high = Math.min(clean.length, longestText);
  let best: Coverage | null = null;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    const candidate = await render(`${clean.slice(0, middle).join('').trimEnd()}…`, full * scale);
    if (fits(candidate, maxWidth, lineHeight)) {
      best = candidate;
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return best ?? { width: 0, height: 0, data: new Uint8Array(0) };
}

function fits(text: Coverage, width: number, height: number): boolean {
  return text.width <= width && text.height <= height;
}
