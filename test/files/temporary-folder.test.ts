import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';

const dist = new URL('../../dist/', import.meta.url).href;
let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-temporary-'));
});
afterEach(() => rm(scratch, { recursive: true }));

/** Arguments of a Node that makes a spool of masks, then goes on with `code`. */
const script = (code: string) => [
  '--expose-gc',
  '--input-type=module',
  '-e',
  `import { MaskSpool } from '${dist}results/mask-spool.js';
   let spool = await MaskSpool.create(2, { width: 8, height: 8 });
   await spool.append([0, 1].map(() => ({ width: 8, height: 8, bits: new Uint8Array(8).fill(255) })));
   ${code}`,
];
const environment = () => ({ env: { ...process.env, TMPDIR: scratch } });
const run = (code: string) => spawnSync(process.execPath, script(code), { ...environment(), encoding: 'utf8' });

it.each([
  ['process.exit', 'process.exit(3)', 3],
  ['an uncaught error', "setTimeout(() => { throw new Error('uncaught'); }); setInterval(() => {}, 1000);", 1],
  ['its natural end', '', 0],
])('goes with the process: %s', async (_, code, status) => {
  expect(run(code).status).toBe(status);
  expect(await readdir(scratch)).toEqual([]);
});

it('goes when the result is forgotten, and no open file that is collected ends the process', async () => {
  const forget = `
    const { readdirSync } = await import('node:fs');
    for await (const _ of spool.frameMasks()) break;
    const before = readdirSync(process.env.TMPDIR).length;
    spool = undefined;
    for (let i = 0; i < 20; i++) { await new Promise((resolve) => setTimeout(resolve, 10)); gc(); }
    console.log(before, readdirSync(process.env.TMPDIR).length);`;
  expect(run(forget)).toMatchObject({ status: 0, stdout: '1 0\n', stderr: '' });
});

it.each(['SIGTERM', 'SIGKILL'] as const)(
  'that a process left at %s is removed by the next one; those of living processes and others stay',
  async (signal) => {
    const start = async () => {
      const child = spawn(process.execPath, script("console.log('there'); setInterval(() => {}, 1000);"), {
        ...environment(),
        stdio: ['ignore', 'pipe', 'ignore'],
      });
      await once(child.stdout, 'data');
      return child;
    };
    const living = await start();
    const dead = await start();
    dead.kill(signal);
    await once(dead, 'exit');
    await mkdir(join(scratch, 'rvos-masks-of-somebody'));
    expect(await readdir(scratch)).toHaveLength(3);
    expect(run('').status).toBe(0);
    const left = await readdir(scratch);
    expect(left).toHaveLength(2);
    expect(left).toContain('rvos-masks-of-somebody');
    expect(left.join()).toContain(`_${living.pid}_`);
    living.kill('SIGKILL');
  },
);
