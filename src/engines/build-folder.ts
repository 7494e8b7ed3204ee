import { constants } from 'node:fs';
import { copyFile, link, mkdtemp, readdir, realpath, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RvosError } from '../errors.js';
import { makeFolder } from '../files/make-folder.js';
import { toOutputError } from '../files/output-error.js';
import { removeAtExit } from '../files/remove-at-exit.js';
import { weightsFile } from '../model/model-description.js';
import type { ModelFolder } from '../model/model-folder.js';

const prefix = '.build-';
/** A build folder this old was left by a process that died. */
const staleMilliseconds = 24 * 3600_000;

/**
 * A temporary folder inside a key's folder in which engines are built: graphs lie beside (a link to) their weights, and
 * what is finished is renamed out of it. It goes with `await using`, and when the process exits.
 */
export class BuildFolder implements AsyncDisposable {
  private constructor(
    readonly path: string,
    private readonly forget: () => void,
  ) {}

  /** Throws `RvosError` OUTPUT_NOT_WRITABLE, DISK_FULL; BAD_MODEL_FOLDER if the weights are not what they were. */
  static async create(keyFolder: string, model: ModelFolder): Promise<BuildFolder> {
    let path: string;
    try {
      await makeFolder(keyFolder);
      await removeStale(keyFolder);
      path = await mkdtemp(join(keyFolder, prefix));
    } catch (error) {
      throw toOutputError(error, keyFolder);
    }
    const folder = new BuildFolder(path, removeAtExit(path));
    try {
      await bringWeights(model, join(path, weightsFile));
      return folder;
    } catch (error) {
      await folder[Symbol.asyncDispose]();
      throw toOutputError(error, keyFolder);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true });
    this.forget();
  }
}

async function bringWeights(model: ModelFolder, target: string): Promise<void> {
  const source = await realpath(model.weightsPath);
  try {
    await link(source, target);
  } catch {
    // Another disk, or a file of another owner.
    await copyFile(source, target, constants.COPYFILE_FICLONE);
  }
  const { size } = await stat(target);
  if (size !== model.description.files[weightsFile]?.bytes) {
    throw new RvosError(
      'BAD_MODEL_FOLDER',
      `${model.weightsPath} changed while it was in use`,
      'Open the model again.',
    );
  }
}

async function removeStale(keyFolder: string): Promise<void> {
  const names = (await readdir(keyFolder)).filter((name) => name.startsWith(prefix));
  for (const name of names) {
    const found = await stat(join(keyFolder, name)).catch(() => undefined);
    if (found && Date.now() - found.mtimeMs > staleMilliseconds) {
      await rm(join(keyFolder, name), { recursive: true, force: true });
    }
  }
}
