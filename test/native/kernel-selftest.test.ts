import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/* On the simulated device the kernels are their CPU twins: what is tried here are the programs, which a GPU's first day needs. */

const root = join(import.meta.dirname, '../..');
const programs = join(root, 'build/cmake-simulated/selftest');

function runProgram(name: string, args: string[]) {
  const { status, stdout, stderr } = spawnSync(join(programs, name), args, { encoding: 'utf8' });
  const lines = stdout.split('\n').filter(Boolean);
  return { status, stderr, lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

const run = (...args: string[]) => runProgram('kernel-selftest', args);
const runPipeline = (...args: string[]) => runProgram('pipeline-selftest', args);

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

describe.runIf(process.platform === 'linux')('pipeline-selftest', () => {
  it('gives what the plain way gives, in every case', () => {
    const { status, lines } = runPipeline('--short');
    expect(lines.filter(({ state }) => state === 'failed')).toEqual([]);
    const last = lines.pop();
    expect(last).toEqual({ device: 'simulated device', cases: lines.length, failed: 0 });
    expect(lines.map((line) => line.case)).toEqual(
      expect.arrayContaining(['a long window', 'aborts', 'every shape was captured in a graph']),
    );
    expect(status).toBe(0);
  });

  it('finds one wrong bit of a mask', () => {
    const { status, lines } = runPipeline('--short', '--spoil', '--rounds', '6');
    expect(status).toBe(1);
    const found = lines.filter((line) => /bytes? of masks differ/.test(String(line.problem)));
    expect(found.length).toBeGreaterThan(8);
    expect(found[0]!.problem).toMatch(
      /^batch 1, sentence 0: 1 bytes of masks differ, the first is \d+: got \d+, expected \d+$/,
    );
  });

  it.each([
    [['--device', '7'], /cudaSetDevice/],
    [['--fast'], /not --fast/],
  ])('%j: says why it cannot run', (args, reason) => {
    const { status, stderr, lines } = runPipeline(...args);
    expect(status).toBe(2);
    expect(lines).toEqual([]);
    expect(stderr).toMatch(reason);
  });
});
