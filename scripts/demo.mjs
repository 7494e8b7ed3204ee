#!/usr/bin/env node
// `npm run demo`: sets up if necessary, then segments the sample clip with two sentences and says where the results lie.
//
//   npm run demo -- [--yes] [--model <folder or name>] [--out <folder>] [<video> <sentence>…]
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { exitWith, root, SetupError } from './run.mjs';
import { setup } from './setup.mjs';

try {
  demo();
} catch (error) {
  exitWith(error);
}

function demo() {
  const { values, positionals } = options();
  setup({ yes: values.yes });
  const [video, ...sentences] = positionals.length > 0 ? positionals : sample();
  // npm runs this in the checkout's root; names given on the command line are meant from where the user stands.
  const from = process.env.INIT_CWD ?? process.cwd();
  const input = resolve(from, video);
  const out = resolve(from, values.out ?? join(root, 'out'));
  const outputs = {
    'masked video': join(out, 'masked.mp4'),
    'contact sheet': join(out, 'contact-sheet.png'),
    masks: join(out, 'masks.json'),
  };
  mkdirSync(out, { recursive: true });
  const args = ['segment', input, ...sentences, '--model', values.model, '--force', '--json'];
  args.push(
    '--masked-video',
    outputs['masked video'],
    '--contact-sheet',
    outputs['contact sheet'],
    '--masks',
    outputs.masks,
  );
  process.stderr.write(`Segmenting ${relative(from, input)}…\n`);
  const run = spawnSync(process.execPath, [join(root, 'dist', 'cli', 'main.js'), ...args], {
    cwd: from,
    // The progress bar is drawn on standard error.
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
  });
  if (run.status !== 0) process.exit(run.status ?? 1);
  const result = JSON.parse(run.stdout);
  process.stdout.write('\n');
  for (const { text, score } of result.queries) process.stdout.write(`score ${score.toFixed(3)}   "${text}"\n`);
  process.stdout.write('\n');
  for (const [name, path] of Object.entries(outputs)) {
    process.stdout.write(`${name.padEnd(14)}${relative(from, path)}\n`);
  }
  process.stdout.write(`\n${result.video.frames} frames in ${result.seconds.toFixed(1)} s (${result.backend})\n`);
}

function options() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        yes: { type: 'boolean', default: false },
        model: { type: 'string', default: 'compact' },
        out: { type: 'string' },
      },
    });
    if (positionals.length === 1) throw new Error('a video was given, but no sentence');
    return { values, positionals };
  } catch (error) {
    throw new SetupError(
      `${error.message}\nusage: npm run demo -- [--yes] [--model <folder>] [--out <folder>] [<video> <sentence>…]`,
    );
  }
}

/** The clip that comes with rvos, and two sentences about it. */
function sample() {
  const folder = join(root, 'examples');
  if (!existsSync(join(folder, 'demo.mp4')))
    throw new SetupError('examples/demo.mp4 is missing: the clone is incomplete.');
  const { sentences } = JSON.parse(readFileSync(join(folder, 'demo.json'), 'utf8'));
  return [join(folder, 'demo.mp4'), ...sentences.slice(0, 2)];
}
