import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/**
 * Transpiles `src/` (no type check) into a fresh folder inside `node_modules/.cache`, so that a child process can run it
 * with plain `node` and still finds the packages. `parts`: the files and folders needed, default all. For tests of process exit, signals and memory. Remove with `remove()`.
 */
export function compileSource(parts: readonly string[] = ['']): { folder: string; remove(): void } {
  const root = join(import.meta.dirname, '../..');
  const cache = join(root, 'node_modules/.cache');
  mkdirSync(cache, { recursive: true });
  const folder = mkdtempSync(join(cache, 'rvos-src-'));
  const source = join(root, 'src');
  for (const entry of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.ts') || !parts.some((part) => entry.startsWith(part))) continue;
    const target = join(folder, entry.replace(/\.ts$/, '.js'));
    mkdirSync(dirname(target), { recursive: true });
    const { outputText } = ts.transpileModule(readFileSync(join(source, entry), 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
    });
    writeFileSync(target, outputText);
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}');
  return { folder, remove: () => rmSync(folder, { recursive: true, force: true }) };
}
