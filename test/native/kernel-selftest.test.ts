import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/* On the simulated device the kernels are their CPU twins: what is tried here is the program, which a GPU's first day needs. */

const root = join(import.meta.dirname, '../..');
const program = join(root, 'build/cmake-simulated/selftest/kernel-selftest');

function run(...args: string[]) {
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: 'utf8' });
  const lines = stdout.split('\n').filter(Boolean);
  return { status, stderr, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

describe.runIf(process.platform === 'linux')('kernel-selftest', () => {
  it('finds every case equal, says what a launch took and ends well', () => {
    const { status, lines } = run('--short', '--runs', '2');
    expect(status).toBe(0);
    const last = lines.pop();
    expect(last).toEqual({ device: 'simulated device', cases: lines.length, failed: 0 });
    expect(lines.length).toBeGreaterThan(10);
    for (const line of lines) {
      expect(line).toMatchObject({ state: 'passed' });
      expect(line.milliseconds).toBeGreaterThan(0);
    }
  });

  it('finds one wrong byte, and one that was written beyond the target', () => {
    const { status, lines } = run('--short', '--runs', '0', '--spoil');
    expect(status).toBe(1);
    const last = lines.pop();
    expect(last).toMatchObject({ failed: lines.length });
    for (const line of lines) {
      const bytes = Number(line.bytes);
      expect(line).toMatchObject({ state: 'failed', differing: 1, first: bytes - 1, outside: 1 });
    }
  });

  it('without guards compares the target alone', () => {
    const { lines } = run('--short', '--runs', '0', '--guard', '0', '--spoil');
    expect(lines[0]).toMatchObject({ differing: 1 });
    expect(lines[0]).not.toHaveProperty('outside');
  });

  it.each([
    [['--device', '7'], /cudaSetDevice/],
    [['--fast'], /not --fast/],
    [['--runs', 'many'], /not --runs/],
  ])('%j: says why it cannot run', (args, reason) => {
    const { status, stderr, lines } = run(...args);
    expect(status).toBe(2);
    expect(lines).toEqual([]);
    expect(stderr).toMatch(reason);
  });
});
