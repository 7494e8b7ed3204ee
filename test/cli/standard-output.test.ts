import { spawn, spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';

const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;

/** Commands that print without a long computation. */
const commands: readonly (readonly string[])[] = [
  ['--help'],
  ['--version'],
  ['segment', '--help'],
  ['tokenize', 'a dog'],
  ['tokenize', '--json', 'a dog'],
  ['inspect', 'compact'],
  ['inspect', 'compact', '--json'],
  ['doctor'],
  ['doctor', '--json'],
];

describe.each(commands.map((args) => [args.join(' '), args] as const))('rvos %s', (_, args) => {
  it('says in one line that standard output is full, and fails', () => {
    const run = spawnSync('sh', ['-c', 'exec "$0" "$@" > /dev/full', process.execPath, entry, ...args], {
      encoding: 'utf8',
    });
    expect(run.stderr).toMatch(/^rvos: cannot write to standard output: no space is left\. .*\n$/);
    expect(run.status).toBe(1);
  });

  it('says in one line that nobody reads standard output, and fails', async () => {
    const child = spawn(process.execPath, [entry, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    const code = await new Promise((resolve) => child.once('close', resolve));
    expect(stderr).toMatch(/^rvos: cannot write to standard output: its reader has closed it\. .*\n$/);
    expect(code).toBe(1);
  });
});

it('a standard error that is full or closed changes nothing', () => {
  const script = '"$0" "$@" 2> /dev/full && "$0" "$@" 2>&-';
  const run = spawnSync('sh', ['-c', script, process.execPath, entry, 'tokenize', '--json', 'a dog'], {
    encoding: 'utf8',
  });
  expect(run.status).toBe(0);
  expect(run.stdout.trim().split('\n')).toHaveLength(2);
});
