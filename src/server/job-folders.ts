import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { toOutputError } from '../files/output-error.js';

/** What a job's result folder holds. */
export const resultFiles = {
  masks: 'masks.json',
  video: 'video.mp4',
  contact_sheet: 'contact-sheet.png',
  frames: 'frames.ndjson',
  summary: 'summary.json',
} as const;

/** The folders below `--data`; no name in them comes from a request. */
export class JobFolders {
  readonly store: string;
  readonly uploads: string;
  readonly work: string;
  readonly results: string;

  private constructor(readonly root: string) {
    this.store = join(root, 'store');
    this.uploads = join(root, 'uploads');
    this.work = join(root, 'work');
    this.results = join(root, 'results');
  }

  /** Makes them. Throws `RvosError` OUTPUT_NOT_WRITABLE, DISK_FULL. */
  static async make(root: string): Promise<JobFolders> {
    const folders = new JobFolders(root);
    try {
      for (const path of [folders.uploads, folders.work, folders.results]) await mkdir(path, { recursive: true });
    } catch (error) {
      throw toOutputError(error, root);
    }
    return folders;
  }

  upload(name: string): string {
    return join(this.uploads, name);
  }

  result(id: string): string {
    return join(this.results, id);
  }

  /** A new folder for the outputs of a run, beside the results, so that they can be renamed into place. */
  async newWork(id: string): Promise<string> {
    const path = join(this.work, `${id}-${randomBytes(4).toString('hex')}`);
    await mkdir(path);
    return path;
  }

  /** Removes what a process that died left behind: all but these uploads and the results of these jobs. */
  async sweep(uploads: ReadonlySet<string>, jobs: ReadonlySet<string>): Promise<void> {
    for (const [folder, kept] of [
      [this.work, undefined],
      [this.uploads, uploads],
      [this.results, jobs],
    ] as const) {
      for (const name of await readdir(folder)) {
        if (!kept?.has(name)) await rm(join(folder, name), { recursive: true, force: true });
      }
    }
  }

  async freeBytes(): Promise<number> {
    const { bavail, bsize } = await statfs(this.root);
    return bavail * bsize;
  }
}

/** Ids sort by the time they were made at. */
export function newJobId(): string {
  return `${Date.now().toString(16).padStart(12, '0')}${randomBytes(8).toString('hex')}`;
}
export const jobIdPattern = /^[0-9a-f]{28}$/;
