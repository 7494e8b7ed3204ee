import { spawnSync } from 'node:child_process';
import { expect, it } from 'vitest';

const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;

function doctor(args: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const options = { encoding: 'utf8', env: { ...process.env, ...env } } as const;
  return spawnSync(process.execPath, [entry, 'doctor', ...args], options);
}

it('finds every part of a machine that runs these tests, ONNX Runtime in its own process', () => {
  const { status, stdout } = doctor(['--json']);
  const states = Object.fromEntries(
    (JSON.parse(stdout) as { part: string; state: string }[]).map(({ part, state }) => [part, state]),
  );
  expect(states).toMatchObject({
    machine: 'ok',
    'native core': 'ok',
    'ONNX Runtime': 'ok',
    ffmpeg: 'ok',
    models: 'ok',
  });
  expect(status).toBe(0);
});

it('names the remedy for what is missing, and fails', () => {
  const { status, stdout, stderr } = doctor([], { RVOS_FFMPEG: '/nowhere/ffmpeg' });
  expect(stdout).toMatch(/MISSING +ffmpeg +.*\n +Install ffmpeg/);
  expect(stderr).toMatch(/^rvos: missing: ffmpeg\..*\n$/);
  expect(status).toBe(1);
});
