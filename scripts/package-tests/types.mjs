// TypeScript against the installed package: as ES module and as CommonJS, nothing of the declarations left unchecked.
import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { root } from '../run.mjs';
import { check, expect, output } from './checks.mjs';

const source = `import { RvosError, Segmenter, type SegmentedFrame, type Mask } from 'rvos';
export async function masks(path: string): Promise<readonly Mask[]> {
  const segmenter = await Segmenter.open({ model: 'compact' });
  try {
    const result = await segmenter.segment(path, ['the red heart']);
    for await (const frame of result.frames()) {
      const one: SegmentedFrame = frame;
      return one.masks;
    }
    return [];
  } catch (error) {
    if (error instanceof RvosError) console.log(error.code, error.hint);
    throw error;
  } finally {
    await segmenter.dispose();
  }
}
`;

/** Each way to see the package: file, `module` and `moduleResolution`. */
const ways = [
  ['esm.mts', 'node16', 'node16'],
  ['commonjs.cts', 'node16', 'node16'],
  ['bundled.ts', 'esnext', 'bundler'],
];

/** Packages that the public declarations may name: those whose types stay as they are. */
const namedByTypes = new Set(['undici']);

/** What `import 'rvos'` makes a compiler read: own declarations, and of packages only those above. */
async function checkNamedPackages(app) {
  await check('public types pull in no other package', () => {
    const files = ['dist/index.d.ts'];
    const others = [];
    for (const file of files) {
      const text = readFileSync(join(app, 'node_modules', 'rvos', file), 'utf8');
      for (const [, name] of text.matchAll(/(?:from |import\()['"]([^'"]+)['"]/g)) {
        const next = join(dirname(file), name.replace(/\.js$/, '.d.ts'));
        if (!name.startsWith('.')) others.push({ name, file });
        else if (!files.includes(next)) files.push(next);
      }
    }
    const surplus = others.filter(({ name }) => !name.startsWith('node:') && !namedByTypes.has(name));
    expect(surplus.length === 0, surplus.map(({ name, file }) => `${name} in ${file}`).join(', '));
  });
}

/** `compiler`: folder of TypeScript's package; the clone's own if it is left out. */
export async function checkTypes(app, env, { compiler = join(root, 'node_modules', 'typescript'), title = '' } = {}) {
  await checkNamedPackages(app);
  for (const [file, module, moduleResolution] of ways) {
    await check(`${title}types of ${file} under ${moduleResolution}, skipLibCheck off`, async () => {
      writeFileSync(join(app, file), source);
      const options = { module, moduleResolution, target: 'es2022', strict: true, skipLibCheck: false, noEmit: true };
      const roots = [join(root, 'node_modules', '@types')];
      const compilerOptions = { ...options, lib: ['es2022'], types: ['node'], typeRoots: roots };
      writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
      await output(process.execPath, [join(compiler, 'bin', 'tsc'), '-p', 'tsconfig.json'], { cwd: app, env });
    });
  }
}
