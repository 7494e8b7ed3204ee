/** A name in pieces: text, and numbers as their sign and their digits before and after the point. */
type Piece = string | { readonly negative: boolean; readonly whole: string; readonly fraction: string };

/**
 * A minus sign is one where nothing stands before it that it could join to (`t-2`, `2024-01-02` are joined); digits after a
 * point are a fraction unless a chain of points makes them a version or a shot (`2.10.3`).
 */
const number = /(?<![\p{L}\p{N})\]])-(?=\d)|(?<![\d.])\d+\.\d+(?![\d.]*\d)|\d+/gu;

// Not the user's language: the same folder must give the same order everywhere.
const collator = new Intl.Collator('en');

/** Names by the values of the numbers in them: `frame2` before `frame10`, `-2` before `-1.5` before `0`. */
export function naturalOrder(names: readonly string[]): string[] {
  return names
    .map((name) => ({ name, pieces: piecesOf(name) }))
    .sort((a, b) => comparePieces(a.pieces, b.pieces) || (a.name < b.name ? -1 : Number(a.name > b.name)))
    .map(({ name }) => name);
}

function piecesOf(name: string): Piece[] {
  const stem = name.replace(/\.[^.]*$/, '');
  const pieces: Piece[] = [];
  let end = 0;
  let negative = false;
  for (const { 0: token, index } of stem.matchAll(number)) {
    if (index > end) pieces.push(stem.slice(end, index));
    end = index + token.length;
    if (token === '-') {
      negative = true;
      continue;
    }
    const [whole = '', fraction = ''] = token.split('.');
    pieces.push({ negative, whole: whole.replace(/^0+/, ''), fraction: fraction.replace(/0+$/, '') });
    negative = false;
  }
  if (end < stem.length) pieces.push(stem.slice(end));
  return pieces;
}

function comparePieces(a: readonly Piece[], b: readonly Piece[]): number {
  for (let i = 0; i < Math.min(a.length, b.length); i++) {
    const order = comparePiece(a[i]!, b[i]!);
    if (order !== 0) return order;
  }
  return a.length - b.length;
}

function comparePiece(a: Piece, b: Piece): number {
  if (typeof a === 'string' || typeof b === 'string') {
    if (typeof a === 'string' && typeof b === 'string') return collator.compare(a, b);
    return typeof a === 'string' ? 1 : -1;
  }
  const isZero = ({ whole, fraction }: typeof a) => whole === '' && fraction === '';
  const sign = (value: typeof a) => (isZero(value) ? 0 : value.negative ? -1 : 1);
  if (sign(a) !== sign(b)) return sign(a) - sign(b);
  const size = a.whole.length - b.whole.length || byCodes(a.whole, b.whole) || byCodes(a.fraction, b.fraction);
  return a.negative ? -size : size;
}

function byCodes(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
