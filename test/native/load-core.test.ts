import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import ts from 'typescript';
import { afterAll, describe, expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';
import { goldenPath } from '../support/safetensors.js';

const root = goldenPath('../..');
const folder = mkdtempSync(join(tmpdir(), 'rvos-load-core-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `loadCore` answers in a package, compiled to dist/, that has these binaries only. */
function loadIn(name: string, binaries: Record<string, Uint8Array>): string {
  const place = join(folder, name);
  const write = (path: string, data: string | Uint8Array): void => {
    mkdirSync(dirname(join(place, path)), { recursive: true });
    writeFileSync(join(place, path), data);
  };
  for (const module of ['errors', 'native/load-core']) {
    const { outputText } = ts.transpileModule(readFileSync(join(root, `src/${module}.ts`), 'utf8'), {
      compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
    });
    write(`dist/${module}.js`, outputText);
  }
  write('package.json', readFileSync(join(root, 'package.json')));
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
  for (const [path, data] of Object.entries(binaries)) write(path, data);
  const script = `import('./dist/native/load-core.js').then(({ loadCore }) => {
    try { console.log('version ' + loadCore().version); } catch (e) { console.log(e.code + ' | ' + e.message + ' | ' + e.hint); }
  });`;
  const { RVOS_PREBUILD: _, ...env } = process.env;
  return execFileSync(process.execPath, ['-e', script], { cwd: place, env, encoding: 'utf8' }).trim();
}

describe('loadCore', () => {
  const built = readFileSync(join(root, 'build/Release/rvos_core.node'));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

  it('loads once and tells the version of the package', () => {
    expect(loadCore()).toBe(loadCore());
    expect(loadCore().version).toBe(version);
  });

  it('finds a prebuilt binary from dist/ where nothing was built', () => {
    const path = `prebuilds/${process.platform}-${process.arch}/rvos_core.napi.node`;
    expect(loadIn('prebuilt', { [path]: built })).toBe(`version ${version}`);
  });

  it('names the remedy where there is none', () => {
    const message = loadIn('absent', {});
    expect(message).toMatch(/^ADDON_MISSING \| .*none for/);
    expect(message).toContain('npm run build:native');
    expect(message).toContain('apt-get install -y build-essential cmake');
    expect(message).not.toContain('\n');
  });

  it('says so when the binary is none', () => {
    const message = loadIn('damaged', { 'build/Release/rvos_core.node': Buffer.from('not a library\n') });
    expect(message).toMatch(/^ADDON_MISSING \| /);
    expect(message).not.toContain('none for');
    expect(message).not.toContain('\n');
  });
});
