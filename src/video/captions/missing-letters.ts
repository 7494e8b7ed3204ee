import { type Coverage, haveFonts, renderWithFonts } from './render-text.js';

/** Scripts, as Unicode names them, in words, and what brings their letters where fonts come in packages. */
const scripts: readonly (readonly [pattern: RegExp, name: string, fonts: string])[] = [
  [/\p{Extended_Pictographic}/u, 'emoji', 'Noto Color Emoji (fonts-noto-color-emoji)'],
  [/\p{Script=Hiragana}|\p{Script=Katakana}/u, 'Japanese', 'Noto Sans CJK (fonts-noto-cjk)'],
  [/\p{Script=Hangul}/u, 'Korean', 'Noto Sans CJK (fonts-noto-cjk)'],
  [/\p{Script=Han}|\p{Script=Bopomofo}/u, 'Chinese', 'Noto Sans CJK (fonts-noto-cjk)'],
  [/\p{Script=Latin}/u, 'Latin', 'Noto Sans (fonts-noto-core)'],
  [/\p{Script=Greek}/u, 'Greek', 'Noto Sans (fonts-noto-core)'],
  [/\p{Script=Cyrillic}/u, 'Cyrillic', 'Noto Sans (fonts-noto-core)'],
  ...[
    'Arabic',
    'Hebrew',
    'Devanagari',
    'Bengali',
    'Gurmukhi',
    'Gujarati',
    'Tamil',
    'Telugu',
    'Kannada',
    'Malayalam',
  ].map(notoSans),
  ...['Sinhala', 'Thai', 'Lao', 'Tibetan', 'Myanmar', 'Georgian', 'Armenian', 'Ethiopic', 'Khmer', 'Mongolian'].map(
    notoSans,
  ),
];
const otherFonts = 'a font that has them, such as Noto (fonts-noto)';

function notoSans(name: string): readonly [RegExp, string, string] {
  return [new RegExp(`\\p{Script=${name}}`, 'u'), name, `Noto Sans ${name} (fonts-noto-core)`];
}

/** Code points that no font has letters for: one whose number has four digits, one of five or six. */
const never = ['\u0378', '\u{3fffd}'] as const;
const size = 24;

const known = new Map<string, Promise<boolean>>();
const boxes = new Map<string, Promise<Coverage>>();

/**
 * One warning for all letters of the texts that would show as boxes, because no installed font has them; none if all can be
 * shown.
 */
export async function missingLetters(texts: readonly string[]): Promise<readonly string[]> {
  const letters = new Set(
    texts.flatMap((text) => [...text].filter((letter) => /[^\p{ASCII}\p{M}\p{C}\p{Z}]/u.test(letter))),
  );
  const fonts = new Map<string, string>();
  for (const letter of letters) {
    if (await canBeShown(letter)) continue;
    const [, name = 'some', font = otherFonts] = scripts.find(([pattern]) => pattern.test(letter)) ?? [];
    fonts.set(name, font);
  }
  if (fonts.size === 0) return [];
  const names = [...fonts.keys()].join(', ');
  const remedies = [...new Set(fonts.values())].join(', ');
  return [`captions show boxes for ${names} letters, which no installed font has; install ${remedies}`];
}

function canBeShown(letter: string): Promise<boolean> {
  let answer = known.get(letter);
  if (answer === undefined) {
    // Without any font our own letters are ASCII.
    answer = haveFonts().then((fonts) => fonts && isNoBox(letter));
    known.set(letter, answer);
    answer.catch(() => known.delete(letter));
  }
  return answer;
}

/** A letter without a font is its number in a frame; frame and margin are those of a code point that has no letter. */
async function isNoBox(letter: string): Promise<boolean> {
  const reference = never[letter.codePointAt(0)! > 0xffff ? 1 : 0];
  let box = boxes.get(reference);
  if (box === undefined) {
    box = renderWithFonts(reference, size);
    boxes.set(reference, box);
  }
  const [drawn, frame] = await Promise.all([renderWithFonts(letter, size), box]);
  if (drawn.width !== frame.width || drawn.height !== frame.height) return true;
  const { width, height } = frame;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inner = y > 1 && y < height - 2 && x > 2 && x < width - 2;
      if (!inner && drawn.data[y * width + x] !== frame.data[y * width + x]) return true;
    }
  }
  return false;
}
