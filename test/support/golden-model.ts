import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Precision } from '../../src/model/architecture.js';
import { importModel } from '../../src/model/import.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import { goldenPath } from './safetensors.js';

export interface TemporaryModel {
  readonly folder: string;
  readonly scratch: string;
  remove(): Promise<void>;
}

/** The goldens' network, imported into a temporary model folder. */
export async function goldenModel(precision: Precision = 'fp32'): Promise<TemporaryModel> {
  const scratch = await mkdtemp(join(tmpdir(), 'rvos-golden-'));
  const folder = join(scratch, 'model');
  await importModel({
    source: goldenPath('model.safetensors'),
    architecture: goldenPath('config.json'),
    tokenizer: goldenPath('tokenizer'),
    precision,
    out: folder,
  });
  return { folder, scratch, remove: () => rm(scratch, { recursive: true, force: true }) };
}

/** The same, opened. */
export async function openGoldenModel(precision: Precision = 'fp32'): Promise<TemporaryModel & { model: ModelFolder }> {
  const temporary = await goldenModel(precision);
  return { ...temporary, model: await openModelFolder(temporary.folder) };
}
