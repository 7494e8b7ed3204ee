// PyTorch FP16 doing the published algorithm on the same GPU, in a process of its own (bench/pytorch/published.py).
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../pytorch/published.py', import.meta.url));

/** Eager and compiled; where it cannot run, why. */
export async function measurePytorch({ python, config, folder, frames, size, sentences }) {
  const file = join(folder, 'config.json');
  await writeFile(file, JSON.stringify(config));
  const shape = ['--frames', frames, '--height', size.height, '--width', size.width].map(String);
  return ['eager', 'compiled'].map((mode) => {
    process.stderr.write(`PyTorch, ${mode} …\n`);
    const args = [script, '--config', file, '--sentences', sentences.join(','), ...shape];
    if (mode === 'compiled') args.push('--compile');
    const run = spawnSync(python, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], maxBuffer: 64 << 20 });
    const last = run.stdout?.trim().split('\n').at(-1);
    try {
      return { mode, ...JSON.parse(last) };
    } catch {
      const why = run.error?.message ?? run.stderr?.trim().split('\n').at(-1) ?? `exit code ${run.status}`;
      return { mode, available: false, reason: why };
    }
  });
}
