import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder in which space can be made to run out. */
export interface SmallDisk {
  readonly folder: string;
  /** From now on this many bytes can still be written (of one file, or of all together, by the kind of disk). */
  leave(bytes: number): void;
  /** As much as at first again. */
  free(): void;
  remove(): Promise<void>;
}

/** A file system of its own in memory, filled up by a file outside `folder`; undefined where mounting is not allowed. */
export async function smallFileSystem(megabytes = 32): Promise<SmallDisk | undefined> {
  const mount = await mkdtemp(join(tmpdir(), 'rvos-small-disk-'));
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'tmpfs', mount]).status === 0;
  if (!mounted) {
    await rm(mount, { recursive: true });
    return undefined;
  }
  const folder = join(mount, 'folder');
  await mkdir(folder);
  const filler = join(mount, 'filler');
  const free = () => rmSync(filler, { force: true });
  return {
    folder,
    free,
    leave(bytes) {
      free();
      const { bavail, bsize } = statfsSync(mount);
      const page = Buffer.alloc(bsize, 1);
      const file = openSync(filler, 'w');
      for (let i = Math.max(0, bavail - Math.ceil(bytes / bsize)); i > 0; i--) writeSync(file, page);
      closeSync(file);
    },
    async remove() {
      execFileSync('umount', ['--lazy', mount]);
      await rm(mount, { recursive: true });
    },
  };
}

/** A folder while no file of this process and its children may grow beyond a size (`ulimit -f`). */
export async function smallFiles(): Promise<SmallDisk> {
  const folder = await mkdtemp(join(tmpdir(), 'rvos-small-files-'));
  const limit = (bytes: number | 'unlimited') =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytes}:unlimited`]);
  return {
    folder,
    leave: limit,
    free: () => limit('unlimited'),
    async remove() {
      limit('unlimited');
      await rm(folder, { recursive: true });
    },
  };
}
