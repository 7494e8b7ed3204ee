// The window pipeline with plain kernels as stages (native/selftest), which needs no TensorRT; and what the device can do at most.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Found, Skipped } from '../run-step.mjs';
import { summary } from './kernels.mjs';
import { pythonOf, selftest } from './programs.mjs';

export async function pipeline(context) {
  const { exec, simulated, device, out } = context;
  const program = selftest(context, 'pipeline-selftest');
  const args = ['--device', String(simulated ? 0 : device), ...(simulated ? ['--short'] : [])];
  const { status, stdout } = await exec(program, args, { lines: join(out, 'pipeline.jsonl') });
  return summary(status, stdout);
}

/** By PyTorch, where there is one: the libraries' products and copies, not ours. bench-gpu measures both again with TensorRT. */
export async function rates({ exec, simulated, root, device, out }) {
  const script = join(root, 'bench', 'pytorch', 'rates.py');
  const args = simulated ? ['--device', 'cpu', '--short'] : ['--device', `cuda:${device}`];
  const { status, stdout } = await exec(pythonOf(), [script, ...args]).catch((error) => ({
    status: 3,
    stdout: `{"reason":${JSON.stringify(error.message)}}`,
  }));
  const figures = lastValue(stdout);
  if (status === 3) throw new Skipped(figures?.reason ?? 'PyTorch is not there');
  if (status !== 0 || !figures) throw new Found(`rates.py ended with ${status}`);
  writeFileSync(join(out, 'rates.json'), `${JSON.stringify(figures, null, 2)}\n`);
  return figures;
}

/** The last line that is JSON. */
export function lastValue(stdout) {
  for (const line of stdout.trim().split('\n').reverse()) {
    try {
      return JSON.parse(line);
    } catch {}
  }
  return undefined;
}
