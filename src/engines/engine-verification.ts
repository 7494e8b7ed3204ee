import { rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { RvosError } from '../errors.js';
import { withFolderLock } from '../files/folder-lock.js';
import { enginePaths } from './engine-folder.js';
import { type EngineManifest, readEngineManifest } from './engine-manifest.js';
import { verificationBounds } from './verification-bounds.js';

/** What running an engine on its GPU showed, against FP32 on the CPU, on a fixed clip. */
export type EngineVerification = NonNullable<EngineManifest['verified']>;

/** What was measured, of all windows and sentences together. */
export interface VerificationFigures {
  /** Intersection over union of the masks of all object queries, the least of any window and sentence. */
  readonly maskIou: number;
  /** Largest difference of a referred score, which lies in 0…1. */
  readonly scoreError: number;
  /** Root mean square of the difference of the text features over that of the features. */
  readonly textError: number;
}

/** Whether the figures are within the bounds; NaN is not. */
export function isRight({ maskIou, scoreError, textError }: VerificationFigures): boolean {
  const { maskIou: least, scoreError: mostScore, textError: mostText } = verificationBounds;
  return maskIou >= least && scoreError <= mostScore && textError <= mostText;
}

/** In words, for messages and for `rvos inspect`. */
export function describeVerification({ state, mask_iou, score_error, text_error }: EngineVerification): string {
  if (state === 'skipped') return 'not verified (--no-verify)';
  const figure = (value: number | null, digits: number) => (value === null ? 'not a number' : value.toFixed(digits));
  const figures = `mask IoU ${figure(mask_iou, 4)}, scores within ${figure(score_error, 4)}, text features within ${figure(text_error, 4)}`;
  return `${state === 'passed' ? 'verified' : 'refused'} against FP32 on the CPU: ${figures}`;
}

/** The error of engines whose verification was not passed. */
export function refusedEngines(path: string, verification: EngineVerification, command: string): RvosError {
  return new RvosError(
    'BAD_ENGINE',
    `${path} computes something else than the model: ${describeVerification(verification)}`,
    'TensorRT has compiled it wrongly, as it has done before (issues 4333 and 4837 of NVIDIA/TensorRT). ' +
      `Try another version of TensorRT or a newer driver, then build it again: ${command} --force; or use the CPU.`,
  );
}

/**
 * Writes the outcome into the manifests of these engines, those that are still of the same file. Where the folder cannot be
 * written the outcome holds for this process alone.
 */
export async function recordVerification(
  engines: readonly { readonly path: string; readonly manifest: Pick<EngineManifest, 'file'> }[],
  verification: EngineVerification,
): Promise<void> {
  for (const { path, manifest: known } of engines) {
    const folder = dirname(path);
    const { manifest: file } = enginePaths(folder, path.slice(folder.length + 1).replace(/\.engine$/, ''));
    try {
      await withFolderLock(folder, async () => {
        const manifest = await readEngineManifest(file, '');
        if (manifest.file.sha256 !== known.file.sha256) return;
        const partial = `${file}.${process.pid}.tmp`;
        await writeFile(partial, `${JSON.stringify({ ...manifest, verified: verification }, null, 2)}\n`);
        await rename(partial, file);
      });
    } catch (error) {
      if (error instanceof RvosError && (error.code === 'OUTPUT_NOT_WRITABLE' || error.code === 'DISK_FULL')) continue;
      throw error;
    }
  }
}

/** The outcome of figures that were measured now; a figure that is no number becomes null. */
export function verificationOf(
  figures: VerificationFigures,
  device: { readonly name: string; readonly driverCudaVersion: string },
): EngineVerification {
  const finite = (value: number) => (Number.isFinite(value) ? Number(value.toPrecision(5)) : null);
  return {
    state: isRight(figures) ? 'passed' : 'refused',
    when: new Date().toISOString(),
    device: device.name,
    driver_cuda: device.driverCudaVersion,
    mask_iou: finite(figures.maskIou),
    score_error: finite(figures.scoreError),
    text_error: finite(figures.textError),
  };
}

/** Of engines that are not to be verified, now or when they are opened. */
export function skippedVerification(): EngineVerification {
  const nothing = { device: null, driver_cuda: null, mask_iou: null, score_error: null, text_error: null };
  return { state: 'skipped', when: new Date().toISOString(), ...nothing };
}
