import { appendFileSync } from 'node:fs';

/**
 * Keeps a measured figure: with `RVOS_FIGURES=<file>` set, tests append what they measured to that file, one JSON line
 * each. The table in docs/parity.md is made of these lines.
 */
export function recordFigure(what: string, where: string, value: number): void {
  const file = process.env.RVOS_FIGURES;
  if (file) appendFileSync(file, `${JSON.stringify({ what, where, value })}\n`);
}
