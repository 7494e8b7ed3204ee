import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ts from 'typescript';

/**
 * Global set-up: brings `dist/` up to date with `src/` (without type check), because child processes, the command line
 * among them, are run by plain Node.
 */
export default function buildDist(): void {
  const root = join(import.meta.dirname, '../..');
  const options = { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true };
  for (const entry of readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!entry.endsWith('.ts')) continue;
    const source = join(root, 'src', entry);
    const target = join(root, 'dist', entry.replace(/\.ts$/, '.js'));
    const built = statSync(target, { throwIfNoEntry: false });
    if (built && built.mtimeMs > statSync(source).mtimeMs) continue;
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, ts.transpileModule(readFileSync(source, 'utf8'), { compilerOptions: options }).outputText);
  }
}
