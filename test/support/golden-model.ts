import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { importModel } from '../../src/model/import.js';
import { goldenPath } from './safetensors.js';

/** The goldens' network, imported into a temporary model folder. */
export async function goldenModel(): Promise<{ folder: string; scratch: string; remove(): Promise<void> }> {
  const scratch = await mkdtemp(join(tmpdir(), 'rvos-golden-'));
  const folder = join(scratch, 'model');
  await importModel({
    source: goldenPath('model.safetensors'),
    architecture: goldenPath('config.json'),
    tokenizer: goldenPath('tokenizer'),
    out: folder,
  });
  return { folder, scratch, remove: () => rm(scratch, { recursive: true, force: true }) };
}
