// TypeScript against the installed package: as ES module and as CommonJS, nothing of the declarations left unchecked.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../run.mjs';
import { check, output } from './checks.mjs';

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

/** `compiler`: folder of TypeScript's package; the clone's own if it is left out. */
export async function checkTypes(app, env, { compiler = join(root, 'node_modules', 'typescript'), title = '' } = {}) {
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
