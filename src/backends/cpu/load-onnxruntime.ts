import { createRequire } from 'node:module';
import { join } from 'node:path';
import { RvosError } from '../../errors.js';
import { hasPublished, installCommand, isClone, ownPackage, peer, remedies } from '../../installation.js';
import { platformName, platformPackage } from '../../native/platform-packages.js';
import { packageRoot } from '../../package-root.js';

export type OnnxRuntime = typeof import('onnxruntime-node');

const require = createRequire(join(packageRoot, 'package.json'));

/**
 * Where ONNX Runtime is, without loading it: the platform package `rvos-onnxruntime-<platform>`, which holds the CPU part
 * of onnxruntime-node, else onnxruntime-node itself. Throws `RvosError` BACKEND_UNAVAILABLE with the command that installs it.
 */
export function findOnnxRuntime(): string {
  const brought = platformPackage('onnxruntime');
  if (brought.folder !== undefined) return require.resolve(brought.name);
  try {
    return require.resolve('onnxruntime-node');
  } catch (cause) {
    const wanted = hasPublished(brought.name) ? ownPackage(brought.name) : peer('onnxruntime-node');
    const why = brought.absent ? '' : ` (${brought.problem})`;
    throw new RvosError(
      'BACKEND_UNAVAILABLE',
      `ONNX Runtime is not installed: there is no package of it for ${platformName()}${why}`,
      isClone ? remedies.reinstall : `Install it with "${installCommand(wanted)}".`,
      { cause },
    );
  }
}

/** ONNX Runtime itself. Its calls block: outside of tests and single stages it is loaded in a child process only. */
export function loadOnnxRuntime(): OnnxRuntime {
  return require(findOnnxRuntime()) as OnnxRuntime;
}
