import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AtomicFile, AtomicFolder, writeFileAtomic } from '../../src/files/atomic-output.js';
import { toOutputError } from '../../src/files/output-error.js';
import { besideTarget } from '../../src/files/partial-name.js';
import { compileSource } from '../support/compiled-source.js';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-atomic-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const code = (wanted: string) =>
  expect.objectContaining({ name: wanted === 'ABORTED' ? 'AbortError' : 'RvosError', code: wanted });

describe('AtomicFile', () => {
  it('appears under its name only when finished', async () => {
    const target = join(folder, 'a.json');
    const output = await AtomicFile.create(target);
    await writeFile(output.temporaryPath, 'x');
    expect(await readdir(folder)).toEqual([
      expect.stringMatching(/^\.a\.json\.[\w~-]+_\d+_\d*\.[0-9a-f]{8}\.partial$/),
    ]);
    await output.finish();
    expect(await readdir(folder)).toEqual(['a.json']);
    await output.abort();
    expect(await readFile(target, 'utf8')).toBe('x');
  });

  it('leaves nothing after abort, twice, and after leaving the block', async () => {
    const output = await AtomicFile.create(join(folder, 'a'));
    await output.abort();
    await output.abort();
    const disposed = await AtomicFile.create(join(folder, 'b'));
    await disposed[Symbol.asyncDispose]();
    expect(await readdir(folder)).toEqual([]);
    await expect(output.finish()).rejects.toThrow('aborted');
  });

  it('refuses an existing file unless forced, also one that came into being meanwhile', async () => {
    const target = join(folder, 'a');
    const late = await AtomicFile.create(target);
    await writeFile(target, 'old');
    await expect(AtomicFile.create(target)).rejects.toEqual(code('OUTPUT_EXISTS'));
    await expect(late.finish()).rejects.toEqual(code('OUTPUT_EXISTS'));
    expect(await readFile(target, 'utf8')).toBe('old');
    await writeFileAtomic(target, 'new', { force: true });
    expect(await readFile(target, 'utf8')).toBe('new');
    expect(await readdir(folder)).toEqual(['a']);
  });

  it('names a missing parent with its remedy, and refuses folders, devices and files as parents', async () => {
    await expect(AtomicFile.create(join(folder, 'no', 'a'))).rejects.toMatchObject({
      code: 'OUTPUT_NOT_WRITABLE',
      hint: expect.stringContaining(`mkdir -p '${join(folder, 'no')}'`),
    });
    await expect(AtomicFile.create(folder, { force: true })).rejects.toEqual(code('OUTPUT_NOT_WRITABLE'));
    await expect(AtomicFile.create('/dev/null', { force: true })).rejects.toEqual(code('OUTPUT_NOT_WRITABLE'));
    await writeFile(join(folder, 'file'), '');
    await expect(AtomicFile.create(join(folder, 'file', 'a'))).rejects.toEqual(code('OUTPUT_NOT_WRITABLE'));
  });

  it.runIf(process.platform === 'linux')('reports a folder that nothing can be created in', async () => {
    await expect(AtomicFile.create('/proc/rvos-output')).rejects.toEqual(code('OUTPUT_NOT_WRITABLE'));
  });

  it('keeps a symbolic link and writes where it points', async () => {
    await mkdir(join(folder, 'elsewhere'));
    await writeFile(join(folder, 'elsewhere', 'real'), 'old');
    await symlink(join('elsewhere', 'real'), join(folder, 'link'));
    await expect(AtomicFile.create(join(folder, 'link'))).rejects.toEqual(code('OUTPUT_EXISTS'));
    await writeFileAtomic(join(folder, 'link'), 'new', { force: true });
    expect(await readlink(join(folder, 'link'))).toBe(join('elsewhere', 'real'));
    expect(await readFile(join(folder, 'elsewhere', 'real'), 'utf8')).toBe('new');
  });

  it('takes names as long as the file system allows', async () => {
    const name = `${'é'.repeat(120)}.json`;
    await writeFileAtomic(join(folder, name), 'x');
    expect(await readdir(folder)).toEqual([name]);
  });

  it('is removed when the process ends without finishing it', async () => {
    const compiled = compileSource();
    try {
      const script = `
        import { AtomicFile, AtomicFolder } from ${JSON.stringify(join(compiled.folder, 'files/atomic-output.js'))};
        await AtomicFile.create(${JSON.stringify(join(folder, 'a'))});
        await AtomicFolder.create(${JSON.stringify(join(folder, 'b'))}, { owned: () => false });
        console.log((await import('node:fs')).readdirSync(${JSON.stringify(folder)}).length);
        process.exit(3);`;
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' });
      expect(child).toMatchObject({ status: 3, stdout: '2\n' });
      expect(await readdir(folder)).toEqual([]);
    } finally {
      compiled.remove();
    }
  });
});

describe('AtomicFolder', () => {
  const owned = (name: string) => /^\d+\.png$/.test(name);

  it('appears when finished; an empty folder counts as absent', async () => {
    const target = join(folder, 'masks');
    await mkdir(target);
    const output = await AtomicFolder.create(target, { owned });
    await writeFile(join(output.temporaryPath, '1.png'), 'x');
    expect(await readdir(target)).toEqual([]);
    await output.finish();
    expect(await readdir(target)).toEqual(['1.png']);
    expect(await readdir(folder)).toEqual(['masks']);
  });

  it('refuses a filled folder, replaces earlier output when forced, and never deletes other files', async () => {
    const target = join(folder, 'masks');
    await mkdir(target);
    await writeFile(join(target, '1.png'), 'old');
    await expect(AtomicFolder.create(target, { owned })).rejects.toEqual(code('OUTPUT_EXISTS'));
    const output = await AtomicFolder.create(target, { owned, force: true });
    await writeFile(join(output.temporaryPath, '2.png'), 'new');
    await output.finish();
    expect(await readdir(target)).toEqual(['2.png']);

    await writeFile(join(target, 'thesis.tex'), 'dear');
    await expect(AtomicFolder.create(target, { owned, force: true })).rejects.toMatchObject({
      code: 'OUTPUT_EXISTS',
      message: expect.stringContaining('"thesis.tex"'),
    });
    expect((await readdir(target)).sort()).toEqual(['2.png', 'thesis.tex']);
    expect(await readdir(folder)).toEqual(['masks']);
  });

  it('checks again when finishing, and leaves nothing after abort', async () => {
    const target = join(folder, 'masks');
    const output = await AtomicFolder.create(target, { owned });
    await mkdir(target);
    await writeFile(join(target, 'other'), '');
    await expect(output.finish()).rejects.toEqual(code('OUTPUT_EXISTS'));
    const second = await AtomicFolder.create(join(folder, 'b'), { owned });
    await second.abort();
    expect(await readdir(folder)).toEqual(['masks']);
    await expect(AtomicFolder.create(join(target, 'other'), { owned, force: true })).rejects.toEqual(
      code('OUTPUT_NOT_WRITABLE'),
    );
  });
});

describe('what a killed process left', () => {
  const entry = new URL('../../dist/files/atomic-output.js', import.meta.url).href;
  /** A process that runs `code` and then does not end by itself. */
  async function hanging(code: string): Promise<ChildProcess> {
    const script = `import { AtomicFile, AtomicFolder } from '${entry}'; ${code}; console.log('there'); setInterval(() => {}, 1000);`;
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
      cwd: folder,
    });
    await once(child.stdout, 'data');
    return child;
  }

  it('goes when the same output is written again; that of a living one and of other outputs stays', async () => {
    const living = await hanging("await AtomicFile.create('a.mp4')");
    const dead = await hanging("await AtomicFile.create('a.mp4'); await AtomicFile.create('a.mp4.json')");
    dead.kill('SIGKILL');
    await once(dead, 'exit');
    expect(await readdir(folder)).toHaveLength(3);
    await writeFileAtomic(join(folder, 'a.mp4'), 'x');
    const left = (await readdir(folder)).sort();
    expect(left).toEqual([
      expect.stringMatching(/^\.a\.mp4\.json\./),
      expect.stringContaining(`_${living.pid}_`),
      'a.mp4',
    ]);
    living.kill('SIGKILL');
    await once(living, 'exit');
  });

  it('an earlier folder that stood aside when the new one did not come is put back', async () => {
    const target = join(folder, 'masks');
    const aside = besideTarget(target, 'old').replace(/_\d+_\d*\./, '_999999999_1.');
    await mkdir(aside);
    await writeFile(join(aside, '1.png'), 'earlier');
    await expect(AtomicFolder.create(target, { owned: () => true })).rejects.toEqual(code('OUTPUT_EXISTS'));
    expect(await readFile(join(target, '1.png'), 'utf8')).toBe('earlier');
    expect(await readdir(folder)).toEqual(['masks']);
  });
});

describe('toOutputError', () => {
  it('types what the operating system says and leaves the rest alone', () => {
    const systemError = (name: string) => Object.assign(new Error(name), { code: name });
    expect(toOutputError(systemError('ENOSPC'), 'a')).toEqual(code('DISK_FULL'));
    expect(toOutputError(systemError('EROFS'), 'a')).toEqual(code('OUTPUT_NOT_WRITABLE'));
    const other = new Error('boom');
    expect(toOutputError(other, 'a')).toBe(other);
  });

  it.runIf(process.platform === 'linux')('types a real full disk', async () => {
    const error: unknown = await writeFile('/dev/full', 'x').catch((reason: unknown) => reason);
    expect(toOutputError(error, 'a')).toEqual(code('DISK_FULL'));
  });
});
