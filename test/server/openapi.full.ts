import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tellFigures } from '../support/full-figures.js';
import { serve } from '../support/serve-process.js';
import { form } from '../support/test-server.js';
import { ffmpeg } from '../support/videos.js';

const version = '4.32.5';
const environment = new URL('../../build/schemathesis', import.meta.url).pathname;
const program = join(environment, 'bin/schemathesis');

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-fuzz-'));
  const ran = (command: string, ...args: string[]) => {
    const { status, stderr } = spawnSync(command, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${command} ${args.join(' ')}: ${stderr}`);
  };
  if (existsSync(program)) return;
  ran('python3', '-m', 'venv', environment);
  ran(join(environment, 'bin/pip'), 'install', '--quiet', `schemathesis==${version}`);
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

it('schemathesis finds no answer that its document does not tell, and no 5xx', async () => {
  const server = await serve(
    join(scratch, 'data'),
    '--quiet',
    '--allow-urls',
    'videos.example',
    '--max-queue',
    '100000',
  );
  // There are jobs to be found, done and failed.
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=25:d=0.2', '-c:v', 'mpeg4', join(scratch, 'short.mp4'));
  const video = await readFile(join(scratch, 'short.mp4'));
  for (const start of ['0', '5']) {
    const body = form(video, { sentences: 'a', short_side: '32', long_side: '64', start });
    await server.fetch('/v1/segmentations?wait=60', { method: 'POST', body });
  }
  const report = join(scratch, 'report.json');
  const { status, stdout } = await ended(program, [
    ...['run', `${server.address}/openapi.json`, '--max-examples', '40', '--seed', '14', '--no-color'],
    // No random bytes are a video that can be decoded.
    ...['--exclude-checks', 'positive_data_acceptance', '--request-timeout', '60', '--max-time', '150'],
    ...['--continue-on-failure', '--no-shrink', '--report', 'json', '--report-json-path', report],
  ]);
  const [, cases = '0'] = /(\d+) generated/.exec(stdout) ?? [];
  tellFigures(`schemathesis ${version}`, { requests: Number(cases) });
  expect(stdout.slice(stdout.indexOf('FAILURES'))).not.toMatch(/^- /m);
  expect(status).toBe(0);
  expect(Number(cases)).toBeGreaterThan(1000);
  expect((await server.fetch('/health/ready')).status).toBe(200);
  expect(await server.kill('SIGTERM')).toBe(0);
});

function ended(command: string, args: readonly string[]): Promise<{ status: number; stdout: string }> {
  return new Promise((resolve) => {
    execFile(command, args, { cwd: scratch, maxBuffer: 1 << 26 }, (error, stdout) => {
      resolve({ status: error ? Number(error.code ?? -1) : 0, stdout });
    });
  });
}
