#!/usr/bin/env node
// Packs the package as it would be published, installs it in an empty folder without running any install script, and
// uses it from there. Ends with "N passed, N failed".
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { npm, root } from './run.mjs';

const sizeLimit = 24 << 20;
const needed = [
  /^dist\/index\.js$/,
  /^dist\/index\.d\.ts$/,
  /^dist\/cli\/main\.js$/,
  /^prebuilds\/[^/]+\/rvos_core[^/]*\.node$/,
  /^models\/compact\/model\.json$/,
  /^models\/compact\/weights\.bin$/,
  /^models\/compact\/tokenizer\.json$/,
  /^native\/core\/.*\.cc$/,
  /^native\/addon\/.*\.cc$/,
  /^CMakeLists\.txt$/,
  /^binding\.gyp$/,
  /^native\/tensorrt\/.*\.cu$/,
  /^native\/addon\/tensorrt\/.*\.cc$/,
  /^cmake\/.*\.cmake$/,
  /^scripts\/build-native\.mjs$/,
  /^scripts\/setup-native\.mjs$/,
  /^scripts\/native-kit\/.*\.mjs$/,
  /^LICENSE$/,
  /^NOTICE$/,
  /^THIRD_PARTY_LICENSES\.md$/,
  /^README\.md$/,
];
const unwanted =
  /^(src|test|training|bench|examples|build|node_modules|native\/simulated|\.ci|\.kit)\/|\.(tsbuildinfo|pt|pth|tar|log)$/;

const folder = mkdtempSync(join(tmpdir(), 'rvos-package-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
let passed = 0;
let failed = 0;

const tarball = check('npm pack', pack);
if (tarball) {
  const app = join(folder, 'app');
  if (check('installs without scripts', () => install(app, tarball))) {
    check('npx rvos --version', () => cliVersion(app));
    check('the example of the README', () => readmeExample(app));
    check('the native core loads', () => loadCore(app));
    check('the set-up of TensorRT starts', () => startSetup(app));
    check('segments a clip', () => segmentClip(app));
  }
}
process.stdout.write(`${passed} passed, ${failed} failed\n`);
process.exit(failed === 0 ? 0 : 1);

function check(name, action) {
  try {
    const result = action();
    passed++;
    return result ?? true;
  } catch (error) {
    failed++;
    process.stdout.write(`   ${name}: ${error.message}\n`);
    return undefined;
  }
}

function run(program, args, options = {}) {
  const result = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 64 << 20, ...options });
  if (result.status !== 0)
    throw new Error(`${program} ${args[0]} failed\n${result.stdout ?? ''}${result.stderr ?? ''}`);
  return result.stdout;
}

function pack() {
  run(process.execPath, [join(root, 'scripts', 'prepare-package.mjs')]);
  const [program, args] = npm(['pack', '--json', '--ignore-scripts', '--pack-destination', folder]);
  const answer = JSON.parse(run(program, args, { cwd: root }));
  // npm 10 prints a list of packages, newer ones an object by name.
  const [description] = Object.values(answer);
  const files = description.files.map(({ path }) => path);
  const absent = needed.filter((pattern) => !files.some((file) => pattern.test(file)));
  const surplus = files.filter((file) => unwanted.test(file));
  if (absent.length > 0) throw new Error(`not in the package: ${absent.map(({ source }) => source).join(', ')}`);
  if (surplus.length > 0) throw new Error(`should not be in the package: ${surplus.join(', ')}`);
  if (description.size > sizeLimit) throw new Error(`${description.size} bytes are more than ${sizeLimit}`);
  return join(folder, description.filename);
}

function install(app, tarball) {
  mkdirSync(app);
  writeFileSync(join(app, 'package.json'), '{ "name": "app", "private": true, "type": "module" }\n');
  const [program, args] = npm(['install', '--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', tarball]);
  run(program, args, { cwd: app });
}

function cliVersion(app) {
  const [program, args] = npm(['exec', '--offline', '--', 'rvos', '--version']);
  const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  const answer = run(program, args, { cwd: app }).trim();
  if (answer !== version) throw new Error(`printed ${answer}, not ${version}`);
}

/** The example of the README, as it stands there, with the sample clip beside it. */
function readmeExample(app) {
  const readme = readFileSync(join(root, 'README.md'), 'utf8');
  const code = /```js\n([\s\S]*?)```/.exec(readme)?.[1];
  if (!code) throw new Error('README.md has no example in JavaScript');
  cpSync(join(root, 'examples'), join(app, 'examples'), { recursive: true });
  writeFileSync(join(app, 'example.js'), code);
  run(process.execPath, ['example.js'], { cwd: app });
  if (!existsSync(join(app, 'masked.mp4'))) throw new Error('the example wrote no masked.mp4');
}

function loadCore(app) {
  const code = "require('node-gyp-build')(require('node:path').join('node_modules', 'rvos'))";
  run(process.execPath, ['--input-type=commonjs', '-e', code], { cwd: app });
}

/** With an option that it does not know: it says so, which takes all of its modules. */
function startSetup(app) {
  const script = join(app, 'node_modules', 'rvos', 'scripts', 'setup-native.mjs');
  const { status, stderr } = spawnSync(process.execPath, [script, '--frobnicate'], { encoding: 'utf8' });
  if (status !== 2 || !stderr.startsWith('setup:native: ')) throw new Error(stderr);
}

function segmentClip(app) {
  const video = join(root, 'examples', 'demo.mp4');
  if (!existsSync(video)) throw new Error('examples/demo.mp4 is missing');
  const rvos = join(app, 'node_modules', 'rvos', 'dist', 'cli', 'main.js');
  const args = [rvos, 'segment', video, 'the red circle', '--end', '0.5', '--masks', 'masks.json', '--json', '--quiet'];
  const answer = JSON.parse(run(process.execPath, args, { cwd: app }));
  const masks = JSON.parse(readFileSync(join(app, 'masks.json'), 'utf8'));
  if (masks.masks[0].length !== answer.video.frames) throw new Error('the masks are not one for each frame');
}
