// What machine this is. The other steps' figures mean nothing without it.
import { writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { Found } from '../run-step.mjs';
import { environment, pythonOf, rvos, sanitizer } from './programs.mjs';

const asked = [
  'index',
  'name',
  'uuid',
  'driver_version',
  'compute_cap',
  'memory.total',
  'memory.free',
  'clocks.max.sm',
  'clocks.max.memory',
  'power.limit',
  'pcie.link.gen.max',
  'pcie.link.width.max',
  'ecc.mode.current',
  'mig.mode.current',
  'persistence_mode',
];

export async function deviceFacts(context) {
  const { exec, simulated, out, device } = context;
  const [first] = cpus();
  const facts = {
    cpu: first?.model.trim() ?? 'unknown',
    cores: cpus().length,
    memory_bytes: totalmem(),
    kernel: release(),
    node: process.version,
    gpus: simulated ? [] : await nvidiaSmi(exec),
    compute_sanitizer: await answer(exec, sanitizer(), ['--version'], /Version (\S+)/i),
    torch: await answer(
      exec,
      pythonOf(),
      ['-c', 'import torch; print(torch.__version__, torch.cuda.is_available())'],
      /^(\S+ \S+)/,
    ),
  };
  const doctor = await exec(process.execPath, [rvos(context), 'doctor', '--json'], { env: environment(context) });
  writeFileSync(join(out, 'doctor.json'), doctor.stdout);
  facts.doctor = findings(doctor.stdout);
  writeFileSync(join(out, 'device.json'), `${JSON.stringify(facts, null, 2)}\n`);
  if (simulated) return facts;
  if (!facts.gpus[device]) throw new Found(`there is no GPU ${device}: nvidia-smi names ${facts.gpus.length}`, facts);
  return facts;
}

async function nvidiaSmi(exec) {
  try {
    const { stdout } = await exec('nvidia-smi', [`--query-gpu=${asked.join(',')}`, '--format=csv,noheader']);
    const lines = stdout.trim().split('\n').filter(Boolean);
    return lines.map((line) => Object.fromEntries(line.split(', ').map((value, i) => [asked[i], value])));
  } catch {
    return [];
  }
}

/** Part of what a program prints; null where it cannot be run. */
async function answer(exec, program, args, pattern) {
  if (!program) return null;
  try {
    const { status, stdout } = await exec(program, args);
    return status === 0 ? (pattern.exec(stdout)?.[1] ?? null) : null;
  } catch {
    return null;
  }
}

function findings(text) {
  try {
    return JSON.parse(text).map(({ part, state, detail }) => ({ part, state, detail }));
  } catch {
    return null;
  }
}
