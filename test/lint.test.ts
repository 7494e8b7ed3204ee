import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';

const root = join(import.meta.dirname, '..');
const folder = mkdtempSync(join(tmpdir(), 'rvos-lint-'));
writeFileSync(
  join(folder, 'biome.json'),
  JSON.stringify({ plugins: [join(root, 'scripts/lint/no-promise-race.grit')], linter: { enabled: true } }),
);
afterAll(() => rmSync(folder, { recursive: true }));

/** What the linter says of a file with this text. */
function lint(text: string): { readonly ok: boolean; readonly said: string } {
  writeFileSync(join(folder, 'sample.ts'), text);
  const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
  const run = spawnSync(process.execPath, [biome, 'lint', 'sample.ts'], { cwd: folder, encoding: 'utf8' });
  return { ok: run.status === 0, said: run.stdout + run.stderr };
}

it.each(['Promise.race([work, ended])', 'Promise.any(promises)', 'AbortSignal.any([one, other])'])(
  '%s is refused: it would hold every value until the slowest promise settles',
  (call) => {
    const { ok, said } = lint(`export const result = await ${call};\n`);
    expect(said).toContain('orAbort');
    expect(ok).toBe(false);
  },
);

it('waiting for all of some promises is allowed', () => {
  expect(lint('export const result = await Promise.all([work, ended]);\n')).toMatchObject({ ok: true });
});
