// npm run bench:gpu; PyTorch's figures are those of the step before, of the same machine.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Found } from '../run-step.mjs';
import { environment } from './programs.mjs';

export async function benchGpu(context) {
  const { exec, root, out, simulated } = context;
  const pytorch = join(out, 'pytorch.json');
  const figures = join(out, 'bench-gpu.json');
  const args = [
    join(root, 'bench', 'gpu.mjs'),
    ...['--out', figures, ...(existsSync(pytorch) ? ['--pytorch', pytorch] : ['--no-pytorch'])],
    // What was built before comes first; the result is written after each.
    ...(simulated
      ? [
          '--model',
          join(root, 'models', 'compact'),
          '--size',
          '72x108',
          '--windows',
          '1',
          '--sentences',
          '1',
          '--batches',
          '2',
          '--matrix',
          '256',
          '--no-1080p',
        ]
      : ['--windows', '2,4,1']),
  ];
  const { status } = await exec(process.execPath, args, { cwd: root, env: environment(context) }).catch((error) => {
    error.facts = told(figures);
    throw error;
  });
  if (status !== 0) throw new Found(`bench:gpu ended with ${status}`, told(figures));
  return told(figures);
}

/** The figures that decide, of what has been measured so far. */
function told(file) {
  if (!existsSync(file)) return {};
  const { runs, ratios, matrixFlopPerSecond } = JSON.parse(readFileSync(file, 'utf8'));
  const best = (sentences) =>
    Math.max(0, ...runs.filter((run) => run.sentences === sentences).map((run) => run.framesPerSecond));
  return {
    framesPerSecond: Object.fromEntries([1, 2, 8].map((n) => [n, best(n) || null])),
    ratios,
    matrixFlopPerSecond,
  };
}
