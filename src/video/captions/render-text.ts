import { sharp } from '../../native/sharp.js';
import { bitmapText } from './bitmap-font.js';

/** Text as pixels: uint8 [height, width], 0 where there is none, 255 where it covers a pixel. */
export interface Coverage {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

/** One line of text whose letters are about `size` pixels high; without any font from a small one of our own. */
export async function render(text: string, size: number): Promise<Coverage> {
  if (text.trim() === '') return { width: 0, height: 0, data: new Uint8Array(0) };
  if (!(await haveFonts())) return bitmapText(text, size);
  return renderWithFonts(text, size);
}

export async function renderWithFonts(text: string, size: number): Promise<Coverage> {
  const markup = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
  const image = sharp({ text: { text: markup, font: `sans ${Math.max(1, size * 0.75).toFixed(1)}`, dpi: 96 } });
  const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
  const pixels = info.width * info.height;
  if (info.channels === 1) return { width: info.width, height: info.height, data };
  const coverage = new Uint8Array(pixels);
  for (let i = 0; i < pixels; i++) coverage[i] = data[i * info.channels]!;
  return { width: info.width, height: info.height, data: coverage };
}

let fontsWork: Promise<boolean> | undefined;

/** Whether this machine has any font; found out once. */
export function haveFonts(): Promise<boolean> {
  fontsWork ??= findFonts();
  return fontsWork;
}

/** Without any font (small containers) every letter becomes the same box. */
async function findFonts(): Promise<boolean> {
  try {
    const [narrow, wide] = await Promise.all([renderWithFonts('i', 24), renderWithFonts('W', 24)]);
    return narrow.width !== wide.width;
  } catch {
    return false;
  }
}
