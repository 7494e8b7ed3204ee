import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { cleanSentence } from '../../src/text/clean.js';

interface Golden {
  rows: { text: string; cleaned: string }[];
}
const golden: Golden = JSON.parse(readFileSync(new URL('../goldens/tokenizer_golden.json', import.meta.url), 'utf8'));

describe('cleanSentence', () => {
  it.each(golden.rows)('cleans $text as the published pipeline does', ({ text, cleaned }) => {
    expect(cleanSentence(text)).toBe(cleaned);
  });

  // Each expected value is what Python 3.11 prints for " ".join(text.lower().split()).
  it.each([
    ['a\x1cb\x1dc\x1ed\x1fe', 'a b c d e'],
    ['a\x85b\xa0c\u1680d\u2000e\u200af\u2028g\u2029h\u202fi\u205fj\u3000k', 'a b c d e f g h i j k'],
    ['a\u200bb\u180ec\u2060d', 'a\u200bb\u180ec\u2060d'],
    ['\ufeffThe \ufeff dog', '\ufeffthe \ufeff dog'],
    ['İSTANBUL', 'i\u0307stanbul'],
    ['ΟΔΟΣ ΣΑΣ Σ', 'οδος σας σ'],
    ['AΣ.B AΣ. Σ’', 'aσ.b aς. σ’'],
    ['ΑΣ\u0345', 'ας\u0345'],
    ['ẞ ǅ ﬁ Ω K Å', 'ß ǆ ﬁ ω k å'],
    ['\u{10400} \u{1e900} Ა Ꭰ', '\u{10428} \u{1e922} ა ꭰ'],
    ['\t\v\f\r\n', ''],
  ])('agrees with Python on %j', (text, cleaned) => {
    expect(cleanSentence(text)).toBe(cleaned);
  });
});
