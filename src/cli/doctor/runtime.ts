import { availableParallelism, totalmem } from 'node:os';
import { InferenceProcess } from '../../backends/cpu/inference-process.js';
import { findOnnxRuntime } from '../../backends/cpu/load-onnxruntime.js';
import { openModelFolder, shippedModels } from '../../model/model-folder.js';
import { loadCore } from '../../native/load-core.js';
import { ffmpegAbilities, ffmpegEncoders } from '../../video/ffmpeg.js';
import { type Finding, found } from './finding.js';

export function machine(): Finding {
  const memory = `${(totalmem() / 2 ** 30).toFixed(0)} GB memory`;
  const detail = `${process.platform}-${process.arch}, ${availableParallelism()} cores, ${memory}, Node ${process.version}`;
  return { part: 'machine', state: 'ok', detail };
}

export async function core(): Promise<Finding> {
  return found('native core', () => `version ${loadCore().version}`);
}

/** Loads ONNX Runtime where it will run: in a process of its own. */
export async function onnxRuntime(): Promise<Finding> {
  return found('ONNX Runtime', async () => {
    findOnnxRuntime();
    const child = new InferenceProcess({ runtime: 'onnxruntime', threads: 1 });
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

export async function ffmpeg(): Promise<Finding> {
  return found('ffmpeg', async () => {
    const { version } = await ffmpegAbilities();
    const encoders = await ffmpegEncoders();
    const lacking = ['libx264', 'libvpx-vp9', 'aac'].filter((name) => !encoders.has(name));
    return `version ${version}${lacking.length > 0 ? `, without ${lacking.join(', ')}` : ''}`;
  });
}

export async function opencv(): Promise<Finding> {
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

export async function models(): Promise<Finding> {
  return found('models', async () => {
    const names = await shippedModels();
    for (const name of names) await openModelFolder(name);
    return names.length > 0 ? `${names.join(', ')} (sound)` : 'none come with this installation';
  });
}
