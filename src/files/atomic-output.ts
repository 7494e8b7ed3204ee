import { link, lstat, mkdir, open, readdir, realpath, rename, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { RvosError } from '../errors.js';
import { toOutputError } from './output-error.js';
import { besideTarget, sweepBeside } from './partial-name.js';
import { removeAtExit } from './remove-at-exit.js';

/**
 * Output that appears under its name only when it is complete: written to `.name.<process>.<random>.partial` in the same
 * folder, renamed by `finish()`, removed by `abort()`, by leaving an `await using` block, and when the process exits; what a
 * killed process left, when the same output is written again.
 */
export interface AtomicOutput extends AsyncDisposable {
  /** The name the user asked for. */
  readonly target: string;
  /** Where to write until `finish()`; a file that exists and is empty, or an empty folder. */
  readonly temporaryPath: string;
  /** Renames to `target`. Throws OUTPUT_EXISTS, OUTPUT_NOT_WRITABLE or DISK_FULL; the temporary output is gone then. */
  finish(): Promise<void>;
  /** Removes the temporary output; does nothing after `finish()` or a second time. */
  abort(): Promise<void>;
}

export interface AtomicFileOptions {
  /** Replace an existing file. */
  readonly force?: boolean;
}

export interface AtomicFolderOptions {
  /** Replace an existing folder, if `owned` recognises all it holds. */
  readonly force?: boolean;
  /**
   * Says which top-level names in an existing folder are earlier output of the same kind. `force` replaces a folder only
   * if it holds nothing else, so that `--force` with a wrong path never deletes a user's files.
   */
  readonly owned: (name: string) => boolean;
}

function outputExists(target: string, what: string, hint: string): RvosError {
  return new RvosError('OUTPUT_EXISTS', `${what} ${target} exists already`, hint);
}

/** Follows symbolic links, so that a link given as output stays one; checks that the parent is a folder. */
async function locate(target: string): Promise<{ path: string; existing: 'nothing' | 'file' | 'folder' | 'other' }> {
  const path = resolve(target);
  const parent = await stat(dirname(path)).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw toOutputError(error, target);
    throw new RvosError(
      'OUTPUT_NOT_WRITABLE',
      `cannot write ${target}: folder ${dirname(path)} does not exist`,
      `Create it first: mkdir -p '${dirname(path).replaceAll("'", "'\\''")}'`,
    );
  });
  if (!parent.isDirectory()) {
    throw new RvosError(
      'OUTPUT_NOT_WRITABLE',
      `cannot write ${target}: ${dirname(path)} is not a folder`,
      'Choose a folder that exists and that you may write to.',
    );
  }
  const link = await lstat(path).catch(() => undefined);
  if (link === undefined) return { path, existing: 'nothing' };
  try {
    const real = await realpath(path);
    const entry = await stat(real);
    return { path: real, existing: entry.isFile() ? 'file' : entry.isDirectory() ? 'folder' : 'other' };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { path, existing: 'file' }; // a dangling link
    throw toOutputError(error, target);
  }
}

/** The same once what killed processes left beside it is gone. */
async function locateSwept(target: string): ReturnType<typeof locate> {
  const { path } = await locate(target);
  await sweepBeside(path);
  return locate(target);
}

abstract class TemporaryOutput implements AtomicOutput {
  #state: 'open' | 'finished' | 'aborted' = 'open';
  readonly #forget: () => void;

  protected constructor(
    readonly target: string,
    protected readonly path: string,
    readonly temporaryPath: string,
  ) {
    this.#forget = removeAtExit(temporaryPath);
  }

  protected abstract publish(): Promise<void>;

  async finish(): Promise<void> {
    if (this.#state === 'finished') return;
    if (this.#state === 'aborted') throw new Error(`output ${this.target} was aborted`);
    try {
      await this.publish();
      this.#state = 'finished';
      this.#forget();
    } catch (error) {
      await this.abort();
      throw toOutputError(error, this.target);
    }
  }

  async abort(): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'aborted';
    await rm(this.temporaryPath, { recursive: true, force: true });
    this.#forget();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }
}

/** A file that appears when it is complete; see {@link AtomicOutput}. */
export class AtomicFile extends TemporaryOutput {
  readonly #force: boolean;

  private constructor(target: string, path: string, temporaryPath: string, force: boolean) {
    super(target, path, temporaryPath);
    this.#force = force;
  }

  /**
   * Says beforehand what `create` would refuse, and where the file would lie. Throws OUTPUT_EXISTS unless `force`,
   * OUTPUT_NOT_WRITABLE (no such folder, target is a folder).
   */
  static async check(target: string, options: AtomicFileOptions = {}): Promise<string> {
    const { path, existing } = await locateSwept(target);
    if (existing === 'folder' || existing === 'other') {
      throw new RvosError(
        'OUTPUT_NOT_WRITABLE',
        `cannot write ${target}: it is ${existing === 'folder' ? 'a folder' : 'not a regular file'}`,
        'Give the name of a file.',
      );
    }
    if (existing === 'file' && !options.force) throw fileExists(target);
    return path;
  }

  /** Throws what `check` throws, also OUTPUT_NOT_WRITABLE for a folder that takes no files, DISK_FULL. */
  static async create(target: string, options: AtomicFileOptions = {}): Promise<AtomicFile> {
    const path = await AtomicFile.check(target, options);
    const temporaryPath = besideTarget(path, 'partial');
    try {
      // Exclusive: nobody's file is truncated, no planted link followed.
      await (await open(temporaryPath, 'wx')).close();
    } catch (error) {
      throw toOutputError(error, target);
    }
    return new AtomicFile(target, path, temporaryPath, options.force ?? false);
  }

  protected override async publish(): Promise<void> {
    if (this.#force) return rename(this.temporaryPath, this.path);
    try {
      // Unlike rename, link never replaces a file that came into being meanwhile.
      await link(this.temporaryPath, this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') throw fileExists(this.target);
      return rename(this.temporaryPath, this.path); // a file system without hard links
    }
    await unlink(this.temporaryPath);
  }
}

function fileExists(target: string): RvosError {
  return outputExists(target, 'file', 'Choose another name or pass --force (SDK: force: true) to replace it.');
}

/** A folder that appears when it is complete; see {@link AtomicOutput}. */
export class AtomicFolder extends TemporaryOutput {
  readonly #options: AtomicFolderOptions;

  private constructor(target: string, path: string, temporaryPath: string, options: AtomicFolderOptions) {
    super(target, path, temporaryPath);
    this.#options = options;
  }

  /**
   * Says beforehand what `create` would refuse, and where the folder would lie. An existing empty one counts as absent. Throws
   * OUTPUT_EXISTS for one that holds something, unless `force` is given and `owned` recognises all of it; OUTPUT_NOT_WRITABLE
   * (no such parent, target is a file).
   */
  static async check(target: string, options: AtomicFolderOptions): Promise<string> {
    const { path, existing } = await locateSwept(target);
    if (existing === 'file' || existing === 'other') {
      throw new RvosError(
        'OUTPUT_NOT_WRITABLE',
        `cannot write ${target}: it is not a folder`,
        'Give the name of a folder.',
      );
    }
    if (existing === 'folder') await checkReplaceable(target, path, options);
    return path;
  }

  /** Throws what `check` throws, also OUTPUT_NOT_WRITABLE for a parent that takes no folders, DISK_FULL. */
  static async create(target: string, options: AtomicFolderOptions): Promise<AtomicFolder> {
    const path = await AtomicFolder.check(target, options);
    const temporaryPath = besideTarget(path, 'partial');
    try {
      await mkdir(temporaryPath);
    } catch (error) {
      throw toOutputError(error, target);
    }
    return new AtomicFolder(target, path, temporaryPath, options);
  }

  protected override async publish(): Promise<void> {
    const { existing } = await locate(this.path);
    if (existing === 'nothing') return rename(this.temporaryPath, this.path);
    await checkReplaceable(this.target, this.path, this.#options);
    // Folders cannot be exchanged in one step everywhere: the old one steps aside and comes back if the new one cannot.
    const aside = besideTarget(this.path, 'old');
    await rename(this.path, aside);
    try {
      await rename(this.temporaryPath, this.path);
    } catch (error) {
      await rename(aside, this.path);
      throw error;
    }
    await rm(aside, { recursive: true, force: true });
  }
}

async function checkReplaceable(target: string, path: string, options: AtomicFolderOptions): Promise<void> {
  const entries = await readdir(path).catch((error: unknown) => {
    throw toOutputError(error, target);
  });
  if (entries.length === 0) return;
  if (!options.force) {
    throw outputExists(target, 'folder', 'Choose another name or pass --force (SDK: force: true) to replace it.');
  }
  const foreign = entries.find((name) => !options.owned(name));
  if (foreign !== undefined) {
    const held = foreign.length > 80 ? `${foreign.slice(0, 80)}…` : foreign;
    throw new RvosError(
      'OUTPUT_EXISTS',
      `folder ${target} holds ${JSON.stringify(held)}, which was not written by this command`,
      'Choose another folder: --force replaces only earlier output.',
    );
  }
}

/** Writes a small file in one go, atomically; throws what {@link AtomicFile} throws. */
export async function writeFileAtomic(
  target: string,
  data: string | Uint8Array,
  options: AtomicFileOptions = {},
): Promise<void> {
  const output = await AtomicFile.create(target, options);
  try {
    await writeFile(output.temporaryPath, data);
  } catch (error) {
    await output.abort();
    throw toOutputError(error, target);
  }
  await output.finish();
}
