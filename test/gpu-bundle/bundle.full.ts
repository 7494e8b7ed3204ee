import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tellFigures } from '../support/full-figures.js';

/** The bundle as `npm run bundle:gpu` makes it, and all of its steps on the simulated device, without Node or network of the machine's. */

const root = join(import.meta.dirname, '../..');
let scratch: string;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rvos-bundle-'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('npm run bundle:gpu', () => {
  it('makes parts of the size asked for; run.sh --simulated runs every step', { timeout: 1_200_000 }, () => {
    const out = join(scratch, 'bundle');
    const bundling = performance.now();
    const args = [
      join(root, 'scripts/bundle-gpu.mjs'),
      '--out',
      out,
      '--no-tensorrt',
      '--part-size',
      '16MiB',
      '--json',
    ];
    const made = spawnSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
    expect(made.status).toBe(0);
    const { parts } = JSON.parse(made.stdout) as { parts: { file: string; bytes: number }[] };
    const bundled = (performance.now() - bundling) / 1000;
    expect(parts.length).toBeGreaterThan(3);
    for (const { file, bytes } of parts) {
      expect(bytes).toBeLessThanOrEqual(16 * 2 ** 20);
      expect(statSync(join(out, file)).size).toBe(bytes);
    }
    expect(readdirSync(scratch)).toEqual(['bundle']);

    const running = performance.now();
    const results = join(scratch, 'results');
    const run = spawnSync('bash', [join(out, 'run.sh'), '--simulated', '--work', join(scratch, 'work')], {
      env: { PATH: '/usr/bin:/bin', OUT: results, RVOS_PYTHON: '/nowhere/python3' },
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const seconds = (performance.now() - running) / 1000;
    const lines = run.stdout.trim().split('\n');
    const steps = lines.map((line) => JSON.parse(line) as { step: string; state: string; reason?: string });
    tellFigures('bundle for a GPU, simulated', { bundled, seconds, steps: steps.length });
    expect(steps.filter(({ state }) => state === 'failed')).toEqual([]);
    // What physics forbids here, and what was named to be absent.
    expect(steps.filter(({ state }) => state === 'skipped').map(({ step }) => step)).toEqual([
      'kernels-sanitized',
      'rates',
      'pytorch',
      'engines-full',
    ]);
    expect(run.status).toBe(0);
    const figures = JSON.parse(readFileSync(join(results, 'bench-gpu.json'), 'utf8')) as { runs: unknown[] };
    expect(figures.runs).toHaveLength(1);
    for (const name of ['device.json', 'kernels.jsonl', 'pipeline.jsonl', 'inspector-compact.json', 'test-gpu.json']) {
      expect(readdirSync(results)).toContain(name);
    }
  });
});
