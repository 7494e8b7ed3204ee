import { appendFileSync } from 'node:fs';
import { expect } from 'vitest';

/** Keeps what a long proof measured; `npm run test:full` writes it into bench/results/test-full.json. */
export function tellFigures(name: string, figures: object): void {
  const file = process.env.RVOS_FULL_FIGURES;
  if (file) appendFileSync(file, `${JSON.stringify({ file: expect.getState().testPath, name, figures })}\n`);
}
