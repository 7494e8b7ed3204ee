// What lies in the bundle: a checkout in small that runs where nothing else is installed. Node, dist, production modules and what
// runs test:gpu and bench:gpu, what is compiled, goldens, the compact model, clips decoded to frames, the steps.
import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { npm, root, SetupError } from '../run.mjs';
import { decodeClips } from './clips.mjs';

/** Folders and files of the checkout. */
const ofCheckout = [
  'package.json',
  'LICENSE',
  'NOTICE',
  'THIRD_PARTY_LICENSES.md',
  'dist',
  'src',
  'bench/gpu.mjs',
  'bench/gpu',
  'bench/pytorch',
  'bench/published-size-model.mjs',
  'training/rvos_training',
  'gpu-bundle',
  'models/compact',
  'examples/demo.mp4',
  'examples/demo.json',
  // rvos tells a checkout from an installed package by this one.
  'scripts/setup.mjs',
  'scripts/run.mjs',
  'scripts/require-gpu.mjs',
  'scripts/test-gpu.mjs',
  'scripts/kernel-selftest.mjs',
  'test/gpu',
  'test/support',
  'test/goldens',
];

/** Modules that are no dependencies of the package itself, and what they need. */
const testModules = ['vitest', 'onnxruntime-node'];

/** Binaries of other platforms, and what only people and compilers read. */
const leftOut = [
  /\.(map|md|markdown)$/i,
  /\.d\.[cm]?ts$/,
  /onnxruntime-node\/bin\/.*\/(darwin|win32|linux\/arm64)(\/|$)/,
  /onnxruntime-node\/bin\/.*providers_(cuda|tensorrt)/,
  /__pycache__/,
];

/** Fills `folder`; returns it. `compiled`: folder of addons and self-tests. Throws SetupError. */
export async function gatherContents(folder, { compiled, tensorRt }) {
  for (const name of ofCheckout) copy(join(root, name), join(folder, name), { sources: true });
  for (const place of modules()) copy(join(root, place), join(folder, place));
  await decodeClips(join(folder, 'test', 'gpu', 'clips'));
  mkdirSync(join(folder, 'bin'), { recursive: true });
  copyFileSync(process.execPath, join(folder, 'bin', 'node'));
  copy(join(root, 'build', 'Release'), join(folder, 'build', 'Release'));
  copy(join(compiled, 'tensorrt'), join(folder, 'build', 'tensorrt'));
  for (const group of ['cmake-tensorrt', 'cmake-simulated']) {
    copy(join(compiled, group, 'selftest'), join(folder, 'build', group, 'selftest'));
  }
  // Names for the loader: the paths of this machine mean nothing on another.
  const record = { flavor: 'tensorrt', infer: 'libnvinfer.so', parser: 'libnvonnxparser.so' };
  writeFileSync(join(folder, 'build', 'tensorrt', 'tensorrt', 'libraries.json'), JSON.stringify(record));
  const facts = { made: new Date().toISOString(), commit: commit(), tensorRt: tensorRt?.version ?? null };
  writeFileSync(join(folder, 'bundle.json'), `${JSON.stringify(facts, null, 2)}\n`);
  return folder;
}

function copy(from, to, { sources = false } = {}) {
  if (!existsSync(from)) throw new SetupError(`bundle:gpu: ${from} is missing.`);
  mkdirSync(dirname(to), { recursive: true });
  // Links are followed: the folder stands for itself wherever it is unpacked.
  const filter = (path) =>
    sources
      ? !/__pycache__|\.map$/.test(path)
      : !leftOut.some((pattern) => pattern.test(path)) && basename(path) !== '.vite';
  cpSync(from, to, { recursive: true, dereference: true, filter });
}

/** Places of all modules that the product and its tests on a GPU load, by npm's own view of what needs what. */
function modules() {
  const query = [':root > .prod', ':root > .prod *', ...testModules.flatMap((name) => [`#${name}`, `#${name} *`])];
  const [program, args] = npm(['query', query.join(', ')]);
  const run = spawnSync(program, args, { cwd: root, encoding: 'utf8', maxBuffer: 256 << 20 });
  if (run.status !== 0) throw new SetupError(`bundle:gpu: npm query failed: ${run.stderr}`);
  const places = JSON.parse(run.stdout).map(({ location }) => location);
  // Nested modules are copied with those that they lie in.
  return places.filter(
    (place) =>
      place && !places.some((other) => other && place.startsWith(`${other}/`)) && existsSync(join(root, place)),
  );
}

function commit() {
  const run = spawnSync('git', ['rev-parse', 'HEAD'], { cwd: root, encoding: 'utf8' });
  return run.status === 0 ? run.stdout.trim() : JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).version;
}
