import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';

import { loadCore } from '../../src/native/load-core.js';
import { platformName } from '../../src/native/platform-packages.js';
import { goldenPath } from '../support/safetensors.js';

const root = goldenPath('../..');
const folder = mkdtempSync(join(tmpdir(), 'rvos-load-core-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `loadCore` answers in an installed package that has these files beside it. */
function loadIn(name: string, files: Record<string, string | Uint8Array>): string {
  const place = join(folder, name);
  const write = (path: string, data: string | Uint8Array): void => {
    mkdirSync(dirname(join(place, path)), { recursive: true });
    writeFileSync(join(place, path), data);
  };
  cpSync(join(root, 'dist'), join(place, 'dist'), { recursive: true, filter: (file) => !file.endsWith('.map') });
  write('package.json', readFileSync(join(root, 'package.json')));
  for (const [path, data] of Object.entries(files)) write(path, data);
  const script = `import('./dist/native/load-core.js').then(({ loadCore }) => {
    try { console.log('version ' + loadCore().version); } catch (e) { console.log(e.code + ' | ' + e.message + ' | ' + e.hint); }
  });`;
  const env = { ...process.env, RVOS_HOME: join(place, 'cache') };
  return execFileSync(process.execPath, ['-e', script], { cwd: place, env, encoding: 'utf8' }).trim();
}

describe('loadCore', () => {
  const built = readFileSync(join(root, 'build/Release/rvos_core.node'));
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string };

  it('loads once and tells the version of the package', () => {
    expect(loadCore()).toBe(loadCore());
    expect(loadCore().version).toBe(version);
  });

  const platformPackage = `rvos-core-${platformName()}`;
  const inPackage = `node_modules/${platformPackage}/rvos_core.node`;
  const compiled = `cache/kit/rvos-${version}-${platformName()}/Release/rvos_core.node`;
  const manifest = (its: string) => ({
    [`node_modules/${platformPackage}/package.json`]: JSON.stringify({ name: platformPackage, version: its }),
  });

  it('finds the platform package of the same version', () => {
    expect(loadIn('brought', { ...manifest(version), [inPackage]: built })).toBe(`version ${version}`);
  });

  it('leaves one of another version alone, and says so', () => {
    const message = loadIn('foreign', { ...manifest('0.0.9'), [inPackage]: built });
    expect(message).toMatch(/^ADDON_MISSING \| /);
    expect(message).toContain(`${platformPackage} is of version 0.0.9, and rvos of ${version}`);
  });

  it('takes what rvos setup compiled before the platform package', () => {
    const broken = { ...manifest(version), [inPackage]: 'not a library\n' };
    expect(loadIn('compiled', { ...broken, [compiled]: built })).toBe(`version ${version}`);
  });

  it('names the remedy of an installed package where there is none', () => {
    const message = loadIn('absent', {});
    expect(message).toMatch(/^ADDON_MISSING \| .*is not installed/);
    expect(message).toContain('"rvos setup addon"');
    expect(message).toContain('apt-get install -y build-essential cmake');
    expect(message).not.toContain('npm run');
    expect(message).not.toContain('\n');
  });

  it('says so when the binary is none', () => {
    const message = loadIn('damaged', { ...manifest(version), [inPackage]: 'not a library\n' });
    expect(message).toMatch(/^ADDON_MISSING \| .*cannot be loaded from/);
    expect(message).not.toContain('not installed');
    expect(message).not.toContain('\n');
  });
});
