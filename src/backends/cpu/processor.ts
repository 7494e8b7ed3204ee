import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';

/** What of a processor decides how a network is computed on it. */
export interface Processor {
  readonly model: string;
  /** Whether it has the instructions that OpenVINO is worth its while with: AVX2 on x86-64. */
  readonly vectors: boolean;
  /** The unit that multiplies bfloat16, in words; undefined if there is none. */
  readonly bfloat16: string | undefined;
}

let found: Processor | undefined;

/** This machine's processor. */
export function processor(): Processor {
  found ??= describeProcessor(process.arch, processorFlags(), cpus()[0]?.model ?? 'unknown');
  return found;
}

/** From the flags that Linux tells; where it tells none nothing is taken for granted but AVX2. */
export function describeProcessor(arch: string, flags: ReadonlySet<string> | undefined, model: string): Processor {
  const has = (flag: string) => flags?.has(flag) === true;
  const bfloat16 = has('amx_bf16') ? 'AMX' : has('avx512_bf16') ? 'AVX512-BF16' : undefined;
  return { model: model.trim(), vectors: arch !== 'x64' || flags === undefined || has('avx2'), bfloat16 };
}

function processorFlags(): ReadonlySet<string> | undefined {
  try {
    const [, flags] = /^flags\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? [];
    return flags === undefined ? undefined : new Set(flags.split(/\s+/));
  } catch {
    return undefined;
  }
}
