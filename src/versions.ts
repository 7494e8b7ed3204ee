import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findOnnxRuntime } from './backends/cpu/load-onnxruntime.js';
import { packageVersion } from './package-root.js';
import { ffmpegAbilities } from './video/ffmpeg.js';

/** This package's version. */
export const version: string = packageVersion();

/** Versions of what rvos runs on; null for what is not installed. */
export interface Versions {
  readonly rvos: string;
  readonly node: string;
  readonly onnxruntime: string | null;
  readonly ffmpeg: string | null;
}

/** Versions for bug reports and health pages. Never fails: what cannot be asked is null. */
export async function versions(): Promise<Versions> {
  const ffmpeg = await ffmpegAbilities().then(
    (abilities) => abilities.version,
    () => null,
  );
  return { rvos: version, node: process.versions.node, onnxruntime: onnxRuntimeVersion(), ffmpeg };
}

/** From the manifest beside it, so that nothing is loaded. */
function onnxRuntimeVersion(): string | null {
  try {
    for (let folder = dirname(findOnnxRuntime()); ; folder = dirname(folder)) {
      try {
        const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as { version?: string };
        if (manifest.version) return manifest.version;
      } catch {
        // Not here: further up.
      }
      if (dirname(folder) === folder) return null;
    }
  } catch {
    return null;
  }
}
