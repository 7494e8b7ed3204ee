import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

import { goldenPath } from '../support/safetensors.js';

const root = goldenPath('../..');
let place: string;

/** A package with the sources and the finished build of this one. */
beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'rvos-build-'));
  mkdirSync(join(place, 'build'));
  mkdirSync(join(place, 'src')); // a clone
  for (const path of ['scripts', 'package.json', 'CMakeLists.txt', 'cmake', 'native', 'build/Release']) {
    cpSync(join(root, path), join(place, path), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

function build(options: string[], path = process.env.PATH): { status: number | null; output: string; seconds: number } {
  const start = performance.now();
  const { CXX: _, ...env } = process.env;
  const script = join(place, 'scripts/build-native.mjs');
  const run = spawnSync(process.execPath, [script, ...options], {
    cwd: tmpdir(),
    env: { ...env, PATH: path },
    encoding: 'utf8',
  });
  return { status: run.status, output: run.stdout + run.stderr, seconds: (performance.now() - start) / 1000 };
}

describe('build:native', () => {
  it('prints nothing and is quick when nothing has changed', () => {
    const { status, output, seconds } = build([], '');
    expect({ status, output }).toEqual({ status: 0, output: '' });
    expect(seconds).toBeLessThan(5);
  });

  it('says in one line what is missing, with the remedy', () => {
    const { status, output } = build(['--force'], '');
    expect(status).toBe(1);
    expect(output).toMatch(/^build:native: CMake and a C\+\+ compiler and make not found\. Install them: .*cmake.*\n$/);
  });

  it('notices a changed source', () => {
    writeFileSync(join(place, 'native/core/resize.cc'), '// changed\n');
    expect(build([], '').output).toContain('not found');
  });

  it('refuses unknown options', () => {
    const { status, output } = build(['--frobnicate']);
    expect(status).toBe(2);
    expect(output).toContain('unknown option --frobnicate');
  });
});
