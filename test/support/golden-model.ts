import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Precision } from '../../src/model/architecture.js';
import { importModel } from '../../src/model/import.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';

export const goldens = fileURLToPath(new URL('../goldens/', import.meta.url));

export interface TemporaryModel {
  readonly model: ModelFolder;
  remove(): Promise<void>;
}

/** The golden checkpoint as a model folder in a temporary place. */
export async function importGoldenModel(precision: Precision = 'fp32'): Promise<TemporaryModel> {
  const parent = await mkdtemp(join(tmpdir(), 'rvos-golden-'));
  const out = join(parent, 'golden');
  await importModel({
    source: join(goldens, 'model.safetensors'),
    architecture: join(goldens, 'config.json'),
    tokenizer: join(goldens, 'tokenizer'),
    precision,
    out,
  });
  return { model: await openModelFolder(out), remove: () => rm(parent, { recursive: true }) };
}
