import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { brotliCompressSync, gzipSync } from 'node:zlib';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';

/*
 * What run.sh does with a bundle: parts, hashes, steps with budgets, going on after a failure and where the last call ended. The
 * bundle here holds steps made for this; the real ones are run by gpu-bundle.full.ts.
 */

interface Line {
  readonly step: string;
  readonly state: 'passed' | 'failed' | 'skipped';
  readonly seconds: number;
  readonly reason?: string;
  readonly before?: boolean;
  readonly folder?: string;
  readonly count?: number;
}

const root = join(import.meta.dirname, '../..');
let scratch: string;
let bundle: string;
let place: string;
let runs = 0;

const steps = `
import { appendFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Found, Skipped } from './run-step.mjs';
const budget = { real: 20, simulated: 20 };
const node = (code) => [process.execPath, ['-e', code]];
export const steps = [
  { name: 'counts', about: 'counts its runs', budget, run: async ({ work, exec }) => {
    const { stdout } = await exec(...node('console.log(40 + 2)'));
    appendFileSync(join(work, 'runs.txt'), 'x');
    return { count: Number(stdout) };
  } },
  { name: 'finds', about: 'finds something', budget, run: async () => { throw new Found('3 differ', { count: 3 }); } },
  { name: 'breaks', about: 'has an error', budget, run: async () => { throw new TypeError('no such thing'); } },
  { name: 'hangs', about: 'never ends', budget: { real: 1, simulated: 1 }, least: 0.5, run: async ({ exec, work }) => {
    await exec(...node("process.on('SIGTERM', () => {}); require('fs').writeFileSync(" + JSON.stringify(join(work, 'pid.txt')) + ", String(process.pid)); setInterval(() => {}, 1000)"));
  } },
  { name: 'waits', about: 'waits long', budget, run: async ({ exec, work }) => {
    await exec(...node("require('fs').writeFileSync(" + JSON.stringify(join(work, 'waiting.txt')) + ", String(process.pid)); setInterval(() => {}, 1000)"));
  } },
  { name: 'skips', about: 'cannot be run here', budget, run: async () => { throw new Skipped('no python'); } },
  { name: 'libraries', about: 'needs TensorRT', budget, unavailable: ({ tensorRt }) => tensorRt?.missing, run: async ({ tensorRt }) =>
    ({ folder: tensorRt.folder, version: tensorRt.version, text: readFileSync(tensorRt.infer, 'utf8') }) },
];
`;

/** Archive parts of a folder, as the bundle has them. */
function pack(name: string, folder: string, compress: (bytes: Buffer) => Buffer): string[] {
  const tar = spawnSync('tar', ['--create', '--directory', folder, '.'], { maxBuffer: 1 << 28 });
  const bytes = compress(tar.stdout);
  const half = Math.ceil(bytes.length / 2);
  return [bytes.subarray(0, half), bytes.subarray(half)].map((part, i) => {
    writeFileSync(join(bundle, `${name}.00${i}`), part);
    return `${createHash('sha256').update(part).digest('hex')}  ${name}.00${i}\n`;
  });
}

beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), 'rvos-bundle-'));
  bundle = join(scratch, 'bundle');
  mkdirSync(bundle);
  const rvos = join(scratch, 'rvos');
  cpSync(join(root, 'gpu-bundle'), join(rvos, 'gpu-bundle'), { recursive: true });
  writeFileSync(join(rvos, 'gpu-bundle/steps.mjs'), steps);
  mkdirSync(join(rvos, 'bin'));
  symlinkSync(process.execPath, join(rvos, 'bin/node'));
  writeFileSync(join(rvos, 'bundle.json'), JSON.stringify({ tensorRt: '11.2-test' }));
  const libraries = join(scratch, 'libraries');
  mkdirSync(join(libraries, 'lib'), { recursive: true });
  writeFileSync(join(libraries, 'lib/libnvinfer.so.11'), 'infer');
  writeFileSync(join(libraries, 'lib/libnvonnxparser.so.11'), 'parser');
  const parts = [
    ...pack('rvos.tar.gz', rvos, (bytes) => gzipSync(bytes)),
    ...pack('tensorrt.tar.br', libraries, (bytes) => brotliCompressSync(bytes)),
  ];
  writeFileSync(join(bundle, 'parts.sha256'), parts.join(''));
  cpSync(join(root, 'gpu-bundle/run.sh'), join(bundle, 'run.sh'));
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
beforeEach(() => {
  place = join(scratch, `place-${runs++}`);
  cpSync(bundle, place, { recursive: true });
});

const command = (...args: string[]) => ['--work', join(place, 'work'), '--out', join(place, 'out'), ...args];

function run(...args: string[]): { lines: Line[]; status: number | null; stderr: string } {
  // No Node on the path.
  const { stdout, stderr, status } = spawnSync('bash', [join(place, 'run.sh'), ...command(...args)], {
    env: { PATH: '/usr/bin:/bin' },
    encoding: 'utf8',
  });
  const lines = stdout.trim().split('\n').filter(Boolean);
  return { lines: lines.map((line) => JSON.parse(line) as Line), status, stderr };
}

const alive = (pid: number) => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

describe('run.sh', () => {
  it('runs every step though some fail, one line each, and ends with exit code 1', () => {
    const { lines, status, stderr } = run('--steps', 'counts,finds,breaks,hangs,skips,libraries');
    expect(
      lines.map(({ step, state }) => [step, state]),
      stderr,
    ).toEqual([
      ['counts', 'passed'],
      ['finds', 'failed'],
      ['breaks', 'failed'],
      ['hangs', 'failed'],
      ['skips', 'skipped'],
      ['libraries', 'passed'],
    ]);
    expect(lines[0]!.count).toBe(42);
    expect(lines[1]).toMatchObject({ reason: '3 differ', count: 3 });
    expect(lines[2]!.reason).toMatch(/^TypeError: no such thing/);
    expect(lines[3]!.reason).toBe('not done within its budget of 1 s');
    expect(lines[4]!.reason).toBe('no python');
    expect(lines.every(({ seconds }) => seconds >= 0)).toBe(true);
    expect(status).toBe(1);
    expect(existsSync(join(place, 'out/finds.log'))).toBe(true);
    // What a step has started ends with its budget, even if it does not want to.
    expect(alive(Number(readFileSync(join(place, 'work/pid.txt'), 'utf8')))).toBe(false);
  });

  it('goes on where the last call ended; --again runs what has passed anew', () => {
    expect(run('--steps', 'counts').status).toBe(0);
    const second = run('--steps', 'counts,skips');
    expect(second.lines[0]).toMatchObject({ step: 'counts', state: 'passed', count: 42, before: true });
    expect(second.lines[1]!.before).toBeUndefined();
    expect(second.status).toBe(0);
    expect(readFileSync(join(place, 'work/runs.txt'), 'utf8')).toBe('x');
    expect(run('--steps', 'counts', '--again').lines[0]!.before).toBeUndefined();
    expect(readFileSync(join(place, 'work/runs.txt'), 'utf8')).toBe('xx');
    // Real and simulated runs are different matters.
    expect(run('--steps', 'counts', '--simulated').lines[0]!.before).toBeUndefined();
  });

  it('begins nothing for which no time is left', () => {
    const { lines, status } = run('--steps', 'counts,libraries', '--seconds', '1');
    expect(lines.map(({ state, reason }) => [state, reason])).toEqual([
      ['skipped', expect.stringMatching(/^\d s are left, too few for it$/)],
      ['skipped', expect.stringMatching(/too few for it$/)],
    ]);
    expect(status).toBe(0);
  });

  it('ends with what it started on SIGTERM', async () => {
    const child = spawn('bash', [join(place, 'run.sh'), ...command('--steps', 'waits,skips')], {
      env: { PATH: '/usr/bin:/bin' },
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    const waiting = join(place, 'work/waiting.txt');
    while (!existsSync(waiting) || readFileSync(waiting, 'utf8') === '')
      await new Promise((done) => setTimeout(done, 20));
    child.kill('SIGTERM');
    expect(await ended).toBe(143);
    expect(JSON.parse(stdout)).toMatchObject({ step: 'waits', state: 'failed', reason: 'interrupted' });
    expect(alive(Number(readFileSync(waiting, 'utf8')))).toBe(false);
  });

  it('names parts that are missing or damaged, and unpacks nothing of them', () => {
    rmSync(join(place, 'rvos.tar.gz.001'));
    const missing = run();
    expect(missing).toMatchObject({ lines: [], status: 1 });
    expect(missing.stderr).toMatch(/^run\.sh: parts are missing: rvos\.tar\.gz\.001$/m);
    const bytes = readFileSync(join(bundle, 'rvos.tar.gz.001'));
    bytes[bytes.length >> 1]! ^= 1;
    writeFileSync(join(place, 'rvos.tar.gz.001'), bytes);
    const damaged = run();
    expect(damaged).toMatchObject({ lines: [], status: 1 });
    expect(damaged.stderr).toMatch(/rvos\.tar\.gz\.001: FAILED/);
    cpSync(join(bundle, 'rvos.tar.gz.001'), join(place, 'rvos.tar.gz.001'));
    expect(run('--steps', 'skips').status).toBe(0);
  });

  it('takes TensorRT when its parts have come, or where TENSORRT_ROOT names it', () => {
    const part = join(place, 'tensorrt.tar.br.001');
    rmSync(part);
    expect(run('--steps', 'libraries').lines[0]).toMatchObject({
      state: 'skipped',
      reason: "1 of TensorRT's 2 parts are not here yet",
    });
    writeFileSync(part, 'something else');
    expect(run('--steps', 'libraries').lines[0]).toMatchObject({
      state: 'skipped',
      reason: 'part tensorrt.tar.br.001 is damaged: copy it again',
    });
    cpSync(join(bundle, 'tensorrt.tar.br.001'), part);
    const { lines } = run('--steps', 'libraries');
    expect(lines[0]).toMatchObject({ state: 'passed', version: '11.2-test', text: 'infer' });
  });

  it('says what is wrong with its options in one line', () => {
    expect(run('--steps', 'nothing')).toMatchObject({
      status: 2,
      stderr: expect.stringMatching(/^run\.sh: --steps: "nothing" is none of counts, .*\n$/),
    });
    expect(run('--seconds', '-1').status).toBe(2);
    expect(run('--device', 'x').status).toBe(2);
    expect(run('--unknown').status).toBe(2);
  });

  it('lists steps and explains itself', () => {
    const text = (...args: string[]) =>
      spawnSync('bash', [join(place, 'run.sh'), ...command(...args)], {
        env: { PATH: '/usr/bin:/bin' },
        encoding: 'utf8',
      }).stdout;
    expect(text('--list')).toMatch(/^counts +20 s {2}counts its runs$/m);
    expect(text('--help')).toMatch(/--simulated .*[\s\S]*--device N/);
  });
});
