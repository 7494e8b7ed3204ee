// Engines of one network, built as `rvos build` does, where test:gpu and bench:gpu look for them. What the inspector says of each
// is in a file of its own.
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Found } from '../run-step.mjs';
import { lastValue } from './pipeline.mjs';
import { environment, rvos } from './programs.mjs';

export async function engines(context, network) {
  const { exec, root, out } = context;
  const env = environment(context);
  const tests = join(root, 'build', 'test-gpu');
  const bench = join(root, 'build', 'bench-gpu');
  const run = async (args) => {
    const { status, stdout } = await exec(process.execPath, args, { env, cwd: root });
    if (status !== 0) throw new Found(`${args.slice(1, 2)} ended with ${status}`);
    return stdout;
  };
  mkdirSync(tests, { recursive: true });
  mkdirSync(bench, { recursive: true });
  const built = {
    compact: { model: 'compact', sizes: ['72x108'], folder: join(tests, 'engines') },
    // The sizes of test/gpu/models.ts.
    golden: { model: join(tests, 'golden'), sizes: ['96x160', '64x112', '64x96'], folder: join(tests, 'engines') },
    full: {
      model: join(bench, 'published-size'),
      sizes: ['360x640'],
      folder: join(bench, 'engines-2'),
      limits: ['--windows', '2', '--sentences', '8'],
    },
  }[network];
  if (network === 'golden' && !existsSync(join(built.model, 'model.json'))) {
    const goldens = join(root, 'test', 'goldens');
    const parts = ['--architecture', join(goldens, 'config.json'), '--tokenizer', join(goldens, 'tokenizer')];
    await run([rvos(context), 'import', join(goldens, 'model.safetensors'), ...parts, '--out', built.model]);
  }
  if (network === 'full' && !existsSync(join(built.model, 'model.json'))) {
    await run([join(root, 'gpu-bundle', 'make-full-model.mjs'), built.model]);
  }
  const sizes = built.sizes.flatMap((size) => ['--size', size]);
  const args = [
    rvos(context),
    'build',
    '--model',
    built.model,
    ...sizes,
    ...(built.limits ?? []),
    '--out',
    built.folder,
    '--json',
  ];
  const report = lastValue(await run(args));
  // Manifests say how each was built and what verification found.
  for (const name of readdirSync(report.folder)) {
    if (name.endsWith('.json')) copyFileSync(join(report.folder, name), join(out, `engine-${network}-${name}`));
  }
  const inspected = lastValue(
    await run([join(root, 'gpu-bundle', 'inspect-engines.mjs'), report.folder, join(out, `inspector-${network}.json`)]),
  );
  return {
    reason: report.reason,
    engines: report.engines.map(({ name, seconds, bytes, scratch_bytes, reused }) => ({
      name,
      seconds,
      bytes,
      scratch_bytes,
      reused,
      ...inspected[name],
    })),
  };
}
