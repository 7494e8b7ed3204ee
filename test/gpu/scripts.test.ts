import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';

/* Without a GPU these scripts must say so and fail; what they measure is not run here. */

const root = join(import.meta.dirname, '../..');

function run(script: string, env: NodeJS.ProcessEnv) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, script)], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
  });
  return { status, stdout, stderr };
}

describe.each([
  ['scripts/test-gpu.mjs', 'test:gpu'],
  ['bench/gpu.mjs', 'bench:gpu'],
])('%s', (script, name) => {
  it('without an addon says what is missing and fails', () => {
    const { status, stdout, stderr } = run(script, { RVOS_TENSORRT_ADDONS: '/nowhere' });
    expect(status).toBe(1);
    expect(stdout).toBe('');
    expect(stderr).toMatch(new RegExp(`^${name} needs an NVIDIA GPU and a TensorRT .*: .* is built\\.\n`));
    expect(stderr).toMatch(/npm run setup:native; docs\/gpu\.md/);
  });
});
