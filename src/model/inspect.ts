import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, RvosError } from '../errors.js';
import { elementCount, type TensorInfo } from '../tensors/tensor.js';
import type { Architecture } from './architecture.js';
import { openCheckpoint } from './checkpoint/checkpoint.js';
import { locateSource } from './checkpoint/source.js';
import { inferArchitecture } from './infer-architecture.js';
import { descriptionFile, type ModelDescription } from './model-description.js';
import { openModelFolder } from './model-folder.js';
import { weightLayout } from './weight-layout.js';

/** What a model folder is; all its files have been checked. */
export interface ModelInspection {
  readonly kind: 'model';
  readonly path: string;
  /** Number of weights. */
  readonly parameters: number;
  readonly model: ModelDescription;
}

/** What a checkpoint holds. */
export interface CheckpointInspection {
  readonly kind: 'checkpoint';
  /** The file with the weights. */
  readonly path: string;
  readonly format: 'pytorch' | 'safetensors';
  readonly parameters: number;
  readonly tensors: readonly (TensorInfo & { readonly name: string })[];
  /** Null if it is no checkpoint of MTTR; then `problem` says why. */
  readonly architecture: Architecture | null;
  readonly problem: string | null;
  readonly warnings: readonly string[];
}

export type Inspection = ModelInspection | CheckpointInspection;

/**
 * Says what a path is: a model folder (or the name of a shipped one), a checkpoint or a ModelScope folder. Throws
 * `RvosError` NOT_FOUND, BAD_MODEL_FOLDER, BAD_CHECKPOINT.
 */
export async function inspect(path: string, options: { readonly signal?: AbortSignal } = {}): Promise<Inspection> {
  const found = await stat(path).catch(() => undefined);
  if (
    found === undefined ||
    (found.isDirectory() && (await stat(join(path, descriptionFile)).catch(() => undefined)))
  ) {
    const model = await openModelFolder(path, options);
    const parameters = weightLayout(model.architecture).reduce((sum, { shape }) => sum + elementCount(shape), 0);
    return { kind: 'model', path: model.path, parameters, model: model.description };
  }
  const source = await locateSource(path);
  await using checkpoint = await openCheckpoint(source.weights);
  const tensors = [...checkpoint.tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  const known = {
    kind: 'checkpoint',
    path: source.weights,
    format: checkpoint.format,
    parameters: tensors
      .filter(({ dtype }) => /^B?F\d/.test(dtype))
      .reduce((sum, { shape }) => sum + elementCount(shape), 0),
    tensors,
  } as const;
  try {
    const { architecture, warnings } = inferArchitecture(source.weights, checkpoint.tensors, source.hints);
    return { ...known, architecture, problem: null, warnings };
  } catch (error) {
    if (!(error instanceof RvosError)) throw error;
    return { ...known, architecture: null, problem: describeError(error), warnings: [] };
  }
}
