// Bundlers on a program that uses rvos, with the list of externals that docs/sdk.md names.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { check, expect, output } from './checks.mjs';
import { packageTools } from './tools.mjs';

/** What a bundle leaves outside: rvos itself, whose native parts and models are files beside it. */
const external = 'rvos';

const program = `import { Segmenter } from 'rvos';
const segmenter = await Segmenter.open({ model: 'compact' });
const result = await segmenter.segment('node_modules/rvos/examples/demo.mp4', 'the red heart moving right', { end: 0.5 });
console.log(JSON.stringify({ score: result.queries[0].score }));
await result.dispose();
await segmenter.dispose();
`;

export async function checkBundlers(app, env) {
  const tool = packageTools('esbuild', 'webpack');
  writeFileSync(join(app, 'bundled.mjs'), program);
  writeFileSync(
    join(app, 'bundled.cjs'),
    `const { Segmenter } = require('rvos');\nconsole.log(typeof Segmenter.open);\n`,
  );
  for (const [format, ending] of [
    ['esm', 'mjs'],
    ['cjs', 'cjs'],
  ]) {
    await check(`esbuild, ${format}, with rvos as external`, async () => {
      const bundle = `bundle-esbuild.${ending}`;
      const args = [`bundled.${ending}`, '--bundle', '--platform=node', `--format=${format}`, `--external:${external}`];
      await output(tool('esbuild', 'bin/esbuild'), [...args, `--outfile=${bundle}`], { cwd: app, env });
      await runs(bundle, app, env);
    });
    await check(`webpack, ${format}, with rvos as external`, async () => {
      const bundle = `bundle-webpack.${ending}`;
      writeFileSync(
        join(app, 'webpack.cjs'),
        `const webpack = require(${JSON.stringify(tool('webpack'))});
webpack({
  mode: 'production', target: 'node20', entry: './bundled.${ending}', context: __dirname,
  externals: { rvos: '${format === 'esm' ? 'module' : 'commonjs'} rvos' },
  experiments: { outputModule: ${format === 'esm'} },
  output: { path: __dirname, filename: '${bundle}', module: ${format === 'esm'}${format === 'esm' ? ", library: { type: 'module' }" : ''} },
}, (error, stats) => {
  if (error ?? stats.hasErrors()) { console.error(error ?? stats.toString()); process.exit(1); }
});
`,
      );
      await output(process.execPath, ['webpack.cjs'], { cwd: app, env });
      await runs(bundle, app, env);
    });
  }
}

async function runs(bundle, app, env) {
  const printed = await output(process.execPath, [bundle], { cwd: app, env });
  expect(/"score":0\.[5-9]|^function$/m.test(printed), `${bundle} printed ${printed}`);
}
