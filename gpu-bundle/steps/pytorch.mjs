// PyTorch doing the published algorithm, by the python3 of the machine: eager first, compiled where time is left for it.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Found, Skipped } from '../run-step.mjs';
import { lastValue } from './pipeline.mjs';
import { pythonOf } from './programs.mjs';

export async function pytorch({ exec, simulated, root, device, out, work }) {
  const script = join(root, 'bench', 'pytorch', 'published.py');
  const config = join(work, 'published-config.json');
  if (simulated) writeFileSync(config, JSON.stringify(goldenConfig(root)));
  else {
    const { publishedConfig } = await import(join(root, 'bench', 'published-size-model.mjs'));
    writeFileSync(config, JSON.stringify(publishedConfig));
  }
  const shape = simulated
    ? [
        '--device',
        'cpu',
        '--dtype',
        'bfloat16',
        '--frames',
        '4',
        '--height',
        '64',
        '--width',
        '96',
        '--runs',
        '1',
        '--warmup',
        '1',
        '--sentences',
        '1',
      ]
    : ['--device', 'cuda', '--sentences', '1,2,8'];
  const results = [];
  const file = join(out, 'pytorch.json');
  for (const mode of simulated ? ['eager'] : ['eager', 'compiled']) {
    const args = [script, '--config', config, ...shape, ...(mode === 'compiled' ? ['--compile'] : [])];
    const env = simulated ? {} : { CUDA_DEVICE_ORDER: 'PCI_BUS_ID', CUDA_VISIBLE_DEVICES: String(device) };
    const { status, stdout } = await exec(pythonOf(), args, { env }).catch((error) => ({
      status: error.name === 'AbortError' ? 'not in time' : error.message,
      stdout: '',
    }));
    results.push({ mode, ...(lastValue(stdout) ?? { available: false, reason: `ended with ${status}` }) });
    // What is there stays, whatever comes of the next.
    writeFileSync(file, `${JSON.stringify(results, null, 2)}\n`);
  }
  const [eager] = results;
  if (!eager.available && /import|no CUDA|cannot be started/.test(eager.reason)) throw new Skipped(eager.reason);
  const missing = results.filter(({ available }) => !available);
  if (missing.length > 0)
    throw new Found(missing.map(({ mode, reason }) => `${mode}: ${reason}`).join('; '), { results });
  return { results };
}

function goldenConfig(root) {
  return JSON.parse(readFileSync(join(root, 'test', 'goldens', 'config.json'), 'utf8'));
}
