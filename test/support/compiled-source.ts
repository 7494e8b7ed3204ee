import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * A copy of the compiled `src/` (the global set-up keeps `dist/` up to date) in a fresh folder inside
 * `node_modules/.cache`, so that a child process can run it with plain `node` and still finds the packages. For tests of
 * process exit, signals and memory. Remove with `remove()`.
 */
export function compileSource(): { folder: string; remove(): void } {
  const root = join(import.meta.dirname, '../..');
  const cache = join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'rvos-src-'));
  cpSync(join(root, 'dist'), folder, { recursive: true, filter: (file) => !/\.(map|d\.ts)$/.test(file) });
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
