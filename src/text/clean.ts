/**
 * Everything Python's `str.split()` takes for white space. JavaScript's `\s` has U+FEFF in addition and lacks
 * U+001C…U+001F and U+0085.
 */
const pythonSpaces = '\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const pythonWhitespace = new RegExp(`[${pythonSpaces}]+`, 'u');

/**
 * Cleans a sentence as the published pipeline does before tokenizing: Python's `" ".join(text.lower().split())`.
 * Lower-casing is locale independent and context sensitive in both languages (final sigma, İ → i̇).
 */
export function cleanSentence(text: string): string {
  return text
    .toLowerCase()
    .split(pythonWhitespace)
    .filter((word) => word !== '')
    .join(' ');
}
