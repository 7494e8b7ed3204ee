import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { link, mkdir, mkdtemp, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { parseByteSize } from '../../src/byte-size.js';
import { openCacheEntry } from '../../src/cache/cache-entry.js';
import { cacheBytes, cacheRoom, cacheRoot } from '../../src/cache/cache-folder.js';
import { cacheSettings } from '../../src/cache/cache-settings.js';
import { configure } from '../../src/configure.js';

const dist = new URL('../../dist/', import.meta.url).href;

let scratch: string;
beforeEach(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-cache-test-'));
  for (const name of ['RVOS_HOME', 'XDG_CACHE_HOME', 'RVOS_CACHE_BYTES']) vi.stubEnv(name, '');
});
afterEach(async () => {
  vi.unstubAllEnvs();
  cacheSettings.folder = undefined;
  cacheSettings.bytes = undefined;
  await rm(scratch, { recursive: true });
});

describe('the cache folder', () => {
  it('is the option, else what configure set, else RVOS_HOME, else XDG_CACHE_HOME/rvos, else ~/.cache/rvos', () => {
    vi.stubEnv('HOME', scratch);
    expect(cacheRoot()).toBe(join(scratch, '.cache', 'rvos'));
    vi.stubEnv('XDG_CACHE_HOME', 'relative');
    expect(cacheRoot()).toBe(join(scratch, '.cache', 'rvos'));
    vi.stubEnv('XDG_CACHE_HOME', join(scratch, 'xdg'));
    expect(cacheRoot()).toBe(join(scratch, 'xdg', 'rvos'));
    vi.stubEnv('RVOS_HOME', relative(process.cwd(), join(scratch, 'home')));
    expect(cacheRoot()).toBe(join(scratch, 'home'));
    configure({ cacheFolder: join(scratch, 'set') });
    expect(cacheRoot()).toBe(join(scratch, 'set'));
    expect(cacheRoot(join(scratch, 'option'))).toBe(join(scratch, 'option'));
    expect(cacheRoom('models')).toBe(join(scratch, 'set', 'models'));
  });

  it('lies in the temporary directory, closed to others, where the home folder is missing', async () => {
    vi.stubEnv('HOME', join(scratch, 'absent'));
    vi.stubEnv('TMPDIR', scratch);
    const root = cacheRoot();
    expect(root).toBe(join(scratch, `rvos-cache-${process.getuid!()}`));
    expect((await stat(root)).mode & 0o777).toBe(0o700);
    expect(cacheRoot()).toBe(root);
    // Somebody else could have made it.
    await rm(root, { recursive: true });
    await writeFile(root, '');
    expect(() => cacheRoot()).toThrow(
      expect.objectContaining({ code: 'OUTPUT_NOT_WRITABLE', hint: expect.stringContaining('RVOS_HOME') }),
    );
  });

  it('lies there for a user id that the system does not know', () => {
    const root = process.getuid!() === 0;
    const script = `import { cacheRoot } from '${dist}cache/cache-folder.js'; console.log(cacheRoot());`;
    // Root alone may become somebody without a name.
    const user = root ? { uid: 54321, gid: 54321 } : {};
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      encoding: 'utf8',
      cwd: '/',
      env: root ? {} : { HOME: '/absent' },
      ...user,
    });
    expect(stderr).toBe('');
    expect(stdout.trim()).toBe(`/tmp/rvos-cache-${root ? 54321 : process.getuid!()}`);
  });
});

describe('the bound', () => {
  const fill = async (name: string, bytes: number, minutesAgo: number, room = 'graphs') => {
    const folder = join(scratch, room, name);
    await mkdir(join(folder, 'inner'), { recursive: true });
    await writeFile(join(folder, 'inner', 'file'), Buffer.alloc(bytes));
    const then = new Date(Date.now() - minutesAgo * 60_000);
    await utimes(folder, then, then);
  };
  const left = async () =>
    (await Promise.all(['graphs', 'openvino'].map((room) => readdir(join(scratch, room)).catch(() => []))))
      .flat()
      .sort();
  const sweep = async () => {
    await using entry = await openCacheEntry('graphs', 'new', scratch);
    await entry.written();
  };

  beforeEach(() => {
    vi.stubEnv('RVOS_HOME', scratch);
  });

  it('takes out what was not used for the longest time, in every room but models and kit', async () => {
    await fill('old', 400, 3, 'openvino');
    await fill('older', 400, 4);
    await fill('oldest', 400, 5, 'openvino');
    await fill('pulled', 4000, 9, 'models');
    await fill('compiled', 4000, 9, 'kit');
    vi.stubEnv('RVOS_CACHE_BYTES', '1KB');
    await sweep();
    expect(await left()).toEqual(['new', 'old', 'older']);
    // Opening is use.
    await (await openCacheEntry('graphs', 'older', scratch)).release();
    configure({ cacheBytes: 500 });
    await sweep();
    expect(await left()).toEqual(['new', 'older']);
    expect((await readdir(scratch)).sort()).toEqual(['graphs', 'kit', 'models', 'openvino']);
    expect(existsSync(join(scratch, 'models', 'pulled', 'inner', 'file'))).toBe(true);
    expect(existsSync(join(scratch, 'kit', 'compiled', 'inner', 'file'))).toBe(true);
  });

  it('counts no file that lies elsewhere too, and removes nothing within the bound', async () => {
    await fill('linked', 5000, 9);
    await link(join(scratch, 'graphs', 'linked', 'inner', 'file'), join(scratch, 'weights'));
    vi.stubEnv('RVOS_CACHE_BYTES', '1000');
    await sweep();
    expect(await left()).toEqual(['linked', 'new']);
  });

  it('never takes what is open, here or in another living process, and what a dead one had open', async () => {
    await fill('mine', 400, 5);
    const mine = await openCacheEntry('graphs', 'mine', scratch);
    const holder = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `import { openCacheEntry } from '${dist}cache/cache-entry.js';
         const entry = await openCacheEntry('graphs', 'theirs', ${JSON.stringify(scratch)});
         console.log(entry.path); setInterval(() => {}, 1000);`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(holder.stdout, 'data');
    await fill('theirs', 400, 5);
    vi.stubEnv('RVOS_CACHE_BYTES', '10');
    await sweep();
    expect(await left()).toEqual(['mine', 'new', 'theirs']);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await sweep();
    expect(await left()).toEqual(['mine', 'new']);
    await mine.release();
    await sweep();
    expect(await left()).toEqual(['new']);
  });

  it('is 4 GB unless set, and tells a size that is none', () => {
    expect(cacheBytes()).toBe(4e9);
    vi.stubEnv('RVOS_CACHE_BYTES', 'plenty');
    expect(() => cacheBytes()).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
    expect(() => configure({ cacheBytes: '-1' })).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
    expect(() => configure({ cacheFolder: '' })).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
  });
});

describe('parseByteSize', () => {
  it.each([
    ['4GB', 4e9],
    ['512 MiB', 512 * 2 ** 20],
    ['1.5kb', 1500],
    ['77', 77],
    [1000, 1000],
  ])('reads %s', (text, bytes) => {
    expect(parseByteSize(text, 'size')).toBe(bytes);
  });

  it.each(['', 'GB', '4 GBit', '-1', '1e9', '9999999999999GB', Number.NaN, 0.5 - 1])('refuses %s', (text) => {
    expect(() => parseByteSize(text, 'size')).toThrow(/size .* is no number of bytes/);
  });
});
