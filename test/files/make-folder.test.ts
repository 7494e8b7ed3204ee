import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeFolder } from '../../src/files/make-folder.js';

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-folders-'));
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

it('makes a folder and those it lies in, several callers at once', async () => {
  const paths = [join(scratch, 'a/b/c'), join(scratch, 'a/b/d'), join(scratch, 'a/b/c')];
  await Promise.all(paths.map(makeFolder));
  for (const path of paths) expect((await stat(path)).isDirectory()).toBe(true);
  await makeFolder(scratch);
});

it.each([
  ['below a file', () => join(scratch, 'file/a/b'), /not a folder/],
  ['in the place of a file', () => join(scratch, 'file'), /a file has that name/],
  // Node's own recursive mkdir never returns from this one.
  ['where the system makes none', () => '/proc/rvos/a', /cannot write/],
])('fails %s', async (_, path, message) => {
  await writeFile(join(scratch, 'file'), '');
  await expect(makeFolder(path())).rejects.toMatchObject({
    code: 'OUTPUT_NOT_WRITABLE',
    message: expect.stringMatching(message),
  });
});
