#!/usr/bin/env node
// Compiles src/ to dist/, unless nothing has changed since the last build (--force: in any case). Compiles to a folder
// beside it first, so that dist/ is never half written and holds no file whose source is gone.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from './run.mjs';

const dist = join(root, 'dist');
const stamp = join(root, 'build', 'typescript.stamp');
const fresh = join(root, 'build', `dist-${process.pid}`);

const inputs = fingerprint();
if (!process.argv.includes('--force') && upToDate()) process.exit(0);

const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
if (!existsSync(tsc)) {
  process.stderr.write('build:ts: TypeScript is not installed. Run npm ci.\n');
  process.exit(1);
}
const started = performance.now();
process.once('exit', () => rmSync(fresh, { recursive: true, force: true }));
const run = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json', '--outDir', fresh], {
  cwd: root,
  stdio: ['ignore', 2, 2],
});
if (run.status !== 0) {
  process.stderr.write('build:ts: the sources do not compile; dist/ is unchanged.\n');
  process.exit(1);
}
for (const entry of commonJsEntries()) writeCommonJs(entry);
const main = join(fresh, 'cli', 'main.js');
if (existsSync(main)) chmodSync(main, 0o755);
rmSync(stamp, { force: true });
rmSync(dist, { recursive: true, force: true });
renameSync(fresh, dist);
mkdirSync(join(root, 'build'), { recursive: true });
writeFileSync(stamp, inputs);
process.stderr.write(`build:ts: built dist/ in ${((performance.now() - started) / 1000).toFixed(1)} s\n`);

/** Modules of dist/ that package.json offers to `require` too, without ending: `index`. */
function commonJsEntries() {
  const { exports } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  return Object.values(exports)
    .map((entry) => /^\.\/dist\/commonjs\/(.*)\.js$/.exec(entry.require?.default ?? '')?.[1])
    .filter((name) => name !== undefined);
}

/**
 * For `require`: dist/commonjs/ has a module that loads the ES module, the same for both, and declarations that
 * TypeScript takes for those of CommonJS: copies in a folder whose package.json says so.
 */
function writeCommonJs(entry) {
  const folder = join(fresh, 'commonjs');
  const place = (file) => {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    return join(folder, file);
  };
  writeFileSync(place('package.json'), '{ "type": "commonjs" }\n');
  const up = '../'.repeat(entry.split('/').length);
  writeFileSync(place(`${entry}.js`), `module.exports = require('${up}${entry}.js');\n`);
  const seen = new Set();
  const copy = (file) => {
    if (seen.has(file)) return;
    seen.add(file);
    const text = readFileSync(join(fresh, file), 'utf8').replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n');
    writeFileSync(place(file), text);
    for (const [, specifier] of text.matchAll(/(?:from |import\()['"](\.[^'"]+)\.js['"]/g))
      copy(join(dirname(file), `${specifier}.d.ts`));
  };
  copy(`${entry}.d.ts`);
}

/** SHA-256 over all that the output depends on; times of files say little after a checkout. */
function fingerprint() {
  const hash = createHash('sha256');
  const configurations = ['tsconfig.json', 'tsconfig.build.json'];
  const sources = readdirSync(join(root, 'src'), { recursive: true })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join('src', name))
    .sort();
  for (const file of [
    'package.json',
    'package-lock.json',
    ...configurations,
    'scripts/build-typescript.mjs',
    ...sources,
  ]) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex');
}

function upToDate() {
  return existsSync(dist) && existsSync(stamp) && readFileSync(stamp, 'utf8') === inputs;
}
