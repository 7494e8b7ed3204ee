const round = Math.fround;

/**
 * 2-D sine positional embedding without padding (model-spec §4): [rows, D/2] of the vertical half and [columns, D/2]
 * of the horizontal one, in float32 as the original computes them.
 */
export function sinePosition(length: number, features: number): number[] {
  const end = round(length + 1e-6);
  const values: number[] = [];
  for (let i = 1; i <= length; i++) {
    const coordinate = round(round(i / end) * round(2 * Math.PI));
    for (let k = 0; k < features; k++) {
      const angle = round(coordinate / round(10000 ** ((2 * Math.floor(k / 2)) / features)));
      values.push(round(k % 2 === 0 ? Math.sin(angle) : Math.cos(angle)));
    }
  }
  return values;
}
