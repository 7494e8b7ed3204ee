import { readdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RvosError } from '../../errors.js';
import { hasTokenizer } from '../../text/tokenizer-file.js';
import { type ArchitectureHints, readModelScopeHints } from '../architecture-hints.js';

/** What a path given to `rvos import` consists of. */
export interface CheckpointSource {
  /** The file that holds the weights. */
  readonly weights: string;
  readonly hints: readonly ArchitectureHints[];
  /** Folder with the tokenizer that belongs to it, if one is found. */
  readonly tokenizer: string | undefined;
}

/** Weights of a ModelScope folder by name, the documented one first. */
const weightNames = ['pytorch_model.pt', 'pytorch_model.bin', 'model.safetensors'];

/**
 * Finds weights, configuration and tokenizer of a checkpoint file or a ModelScope folder. Throws `RvosError` NOT_FOUND,
 * or BAD_CHECKPOINT for a folder without weights.
 */
export async function locateSource(path: string): Promise<CheckpointSource> {
  const found = await stat(path).catch((cause: unknown) => {
    throw new RvosError('NOT_FOUND', `no checkpoint at ${path}`, 'Check the path.', { cause });
  });
  if (!found.isDirectory()) {
    const folder = dirname(path);
    return { weights: path, hints: [], tokenizer: await firstTokenizer([folder, join(folder, 'tokenizer')]) };
  }
  const names = await readdir(path);
  const name = weightNames.find((candidate) => names.includes(candidate));
  if (name === undefined) {
    const remedy =
      'Give the checkpoint file itself, or a ModelScope folder with configuration.json and pytorch_model.pt.';
    throw new RvosError('BAD_CHECKPOINT', `${path} holds no ${weightNames[0]}`, remedy);
  }
  const text = join(path, 'transformer_cfg_dir');
  return {
    weights: join(path, name),
    hints: await readModelScopeHints(join(path, 'configuration.json'), join(text, 'config.json')),
    tokenizer: await firstTokenizer([text, path]),
  };
}

async function firstTokenizer(folders: readonly string[]): Promise<string | undefined> {
  for (const folder of folders) if (await hasTokenizer(folder)) return folder;
  return undefined;
}
