import { availableParallelism, totalmem } from 'node:os';
import type { Command } from 'commander';
import { InferenceProcess } from '../backends/inference-process.js';
import { RvosError } from '../errors.js';
import { openModelFolder, shippedModels } from '../model/model-folder.js';
import { loadCore } from '../native/load-core.js';
import { ffmpegAbilities, ffmpegEncoders } from '../video/ffmpeg.js';

/** One part of what rvos stands on. */
interface Finding {
  readonly part: string;
  readonly state: 'ok' | 'optional' | 'missing';
  readonly detail: string;
  readonly remedy?: string | undefined;
}

/** `rvos doctor`: what this machine can run, and what to do about each missing part. */
export function registerDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('say what this machine can run')
    .description('Checks every part that rvos stands on, and names the remedy for each one that is missing.')
    .option('--json', 'print all findings as one JSON value')
    .action(async (options: { json?: boolean }) => {
      const findings = [machine(), ...(await Promise.all([core(), onnxRuntime(), ffmpeg(), opencv(), models()]))];
      if (options.json) process.stdout.write(`${JSON.stringify(findings)}\n`);
      else process.stdout.write(findings.map(describe).join(''));
      const missing = findings.filter(({ state }) => state === 'missing');
      if (missing.length === 0) return;
      throw new RvosError(
        'BACKEND_UNAVAILABLE',
        `missing: ${missing.map(({ part }) => part).join(', ')}`,
        'Each line above that says MISSING names the remedy.',
      );
    });
}

function describe({ part, state, detail, remedy }: Finding): string {
  const mark = { ok: 'ok      ', optional: 'optional', missing: 'MISSING ' }[state];
  return `${mark}  ${part.padEnd(13)} ${detail}\n${remedy ? `${' '.repeat(24)}${remedy}\n` : ''}`;
}

function machine(): Finding {
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GB memory`;
  const detail = `${process.platform}-${process.arch}, ${availableParallelism()} cores, ${memory}, Node ${process.version}`;
  return { part: 'machine', state: 'ok', detail };
}

async function core(): Promise<Finding> {
  return found('native core', () => `version ${loadCore().version}`);
}

/** Loads ONNX Runtime where it will run: in a process of its own. */
async function onnxRuntime(): Promise<Finding> {
  return found('ONNX Runtime', async () => {
    const child = new InferenceProcess(1);
    try {
      let version = '';
      await child.run(
        (post) => post({ kind: 'hello' }),
        (reply) => {
          if (reply.kind !== 'hello') return false;
          version = reply.version;
          return true;
        },
      );
      return `version ${version}, CPU`;
    } finally {
      await child.kill();
    }
  });
}

async function ffmpeg(): Promise<Finding> {
  return found('ffmpeg', async () => {
    const { version } = await ffmpegAbilities();
    const encoders = await ffmpegEncoders();
    const lacking = ['libx264', 'libvpx-vp9', 'aac'].filter((name) => !encoders.has(name));
    return `version ${version}${lacking.length > 0 ? `, without ${lacking.join(', ')}` : ''}`;
  });
}

async function opencv(): Promise<Finding> {
  const part = 'OpenCV';
  try {
    // An optional peer: only its presence matters, and it need not be there for the types either.
    import.meta.resolve('@u4/opencv4nodejs');
    return { part, state: 'ok', detail: '@u4/opencv4nodejs is installed (--decoder opencv)' };
  } catch {
    const remedy = 'Only for --decoder opencv: npm install @u4/opencv4nodejs';
    return { part, state: 'optional', detail: '@u4/opencv4nodejs is not installed', remedy };
  }
}

async function models(): Promise<Finding> {
  return found('models', async () => {
    const names = await shippedModels();
    for (const name of names) await openModelFolder(name);
    return names.length > 0 ? `${names.join(', ')} (sound)` : 'none come with this installation';
  });
}

async function found(part: string, look: () => string | Promise<string>): Promise<Finding> {
  try {
    return { part, state: 'ok', detail: await look() };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { part, state: 'missing', detail, remedy: error instanceof RvosError ? error.hint : undefined };
  }
}
