#!/usr/bin/env node
// Builds the engines of the published network's size (random weights) at 24×360×640 with TensorRT-RTX ahead of time, which
// needs no GPU, and writes what it took to bench/results/engine-build-rtx.json. Takes minutes and several GB of
// memory: for a nightly run, not for every change.
//
//   node scripts/build-full-size.mjs [--size 360x640] [--target 8.9] [--keep DIR]
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from './run.mjs';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '360x640' },
    target: { type: 'string', default: '8.9' },
    keep: { type: 'string' },
  },
});
const scratch = mkdtempSync(join(tmpdir(), 'rvos-full-size-'));
process.once('exit', () => rmSync(scratch, { recursive: true, force: true }));
for (const name of ['SIGINT', 'SIGTERM']) process.once(name, () => process.exit(130));

const { makePublishedSizeModel } = await import('../bench/published-size-model.mjs');
const model = join(scratch, 'published-size');
process.stderr.write('making a model of the published size with random weights\n');
await makePublishedSizeModel(model);

const out = values.keep ? resolve(values.keep) : join(scratch, 'engines');
const args = ['build', '--model', model, '--size', values.size, '--out', out, '--flavor', 'tensorrt-rtx'];
const built = JSON.parse(await rvos([...args, '--target', values.target, '--force', '--json']));

const megabytes = (bytes) => Math.round(bytes / 1e5) / 10;
const engines = built.engines.map(({ name, bytes, seconds, scratch_bytes, peak_host_bytes }) => ({
  name,
  seconds,
  engine_mb: megabytes(bytes),
  activations_mb: scratch_bytes === null ? null : megabytes(scratch_bytes),
  // Largest resident memory of the process while this one was built.
  peak_host_mb: megabytes(peak_host_bytes),
}));
const result = {
  what: 'FP16 engines of the published architecture, random weights, built ahead of time without a GPU',
  date: new Date().toISOString().slice(0, 10),
  cpu: `${cpus()[0].model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB`,
  library: `${built.flavor} ${built.tensorrt_version}`,
  targets: values.target,
  frames: 24,
  size: values.size,
  limits: { windows: 2, sentences: 8, tokens: 64 },
  seconds: Math.round(built.seconds * 10) / 10,
  engine_mb: megabytes(built.engines.reduce((sum, { bytes }) => sum + bytes, 0)),
  engines,
};
writeFileSync(join(root, 'bench', 'results', 'engine-build-rtx.json'), `${JSON.stringify(result, null, 2)}\n`);
process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);

/** Runs the command line with its progress shown; resolves with its output. */
function rvos(args) {
  return new Promise((done, fail) => {
    const child = spawn(process.execPath, [join(root, 'dist', 'cli', 'main.js'), ...args], {
      stdio: ['ignore', 'pipe', 2],
    });
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (part) => {
      text += part;
    });
    child.once('close', (status) => (status === 0 ? done(text) : fail(new Error(`rvos build ended with ${status}`))));
  });
}
