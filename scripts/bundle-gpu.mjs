#!/usr/bin/env node
// `npm run bundle:gpu`: makes a folder that answers, on a machine with an NVIDIA GPU but without network and without Node, what
// can be answered on a GPU alone (docs/gpu.md). It holds parts of archives, none larger than --part-size, with their
// hashes, and run.sh, which joins them and runs the steps. Fetches and compiles what it needs.
//
//   node scripts/bundle-gpu.mjs --out DIR [--part-size 24M] [--tensorrt VERSION | --no-tensorrt] [--yes] [--json]
//
// --out DIR           made anew; a folder that is no bundle is not touched
// --part-size 24M     most bytes of a file: 500K, 24M, 1G (10^3, 10^6, 10^9) or KiB, MiB, GiB
// --tensorrt VERSION  of the public package with NVIDIA's libraries: 11.2-1.5.14 or 10.6-1.5.11
// --no-tensorrt       without NVIDIA's libraries: steps that need them run where TENSORRT_ROOT names them, else are skipped
// --yes               install missing system packages through sudo (as root they are installed in any case)
// --json              print what was made as one JSON value
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { writeBundle } from './gpu-bundle/archives.mjs';
import { compileFor } from './gpu-bundle/compiled.mjs';
import { gatherContents } from './gpu-bundle/contents.mjs';
import { partBytes } from './gpu-bundle/parts.mjs';
import { defaultTensorRt, fetchTensorRt, tensorRtPackages } from './gpu-bundle/tensorrt.mjs';
import { exitWith, SetupError } from './run.mjs';
import { setup } from './setup.mjs';

const say = (line) => process.stderr.write(`bundle:gpu: ${line}\n`);
const interruption = new AbortController();
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(name, () => interruption.abort());

try {
  const options = readOptions();
  const started = performance.now();
  requireReplaceable(options.out);
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new SetupError('bundle:gpu: it is made on Linux on x86-64, for Linux on x86-64.');
  }
  setup({ yes: options.yes });
  const made = await makeBundle(options);
  const seconds = Math.round((performance.now() - started) / 100) / 10;
  const bytes = made.parts.reduce((sum, part) => sum + part.bytes, 0);
  if (options.json) process.stdout.write(`${JSON.stringify({ out: options.out, ...made, bytes, seconds })}\n`);
  say(`${made.parts.length} parts, ${(bytes / 1e6).toFixed(0)} MB in ${seconds.toFixed(0)} s: ${options.out}`);
  say('on the machine with the GPU: run.sh (run.sh --help says more); here: run.sh --simulated');
} catch (error) {
  if (interruption.signal.aborted) {
    say('interrupted, nothing half-done was left');
    process.exit(130);
  }
  exitWith(error);
}

function readOptions() {
  try {
    const flag = { type: 'boolean', default: false };
    const { values } = parseArgs({
      options: {
        out: { type: 'string' },
        'part-size': { type: 'string', default: '24M' },
        tensorrt: { type: 'string' },
        'no-tensorrt': flag,
        yes: flag,
        json: flag,
      },
    });
    if (!values.out) throw new Error('--out DIR is missing');
    if (values.tensorrt && values['no-tensorrt']) throw new Error('--tensorrt and --no-tensorrt exclude each other');
    const version = values.tensorrt ?? defaultTensorRt;
    if (!tensorRtPackages.includes(version)) {
      throw new Error(`--tensorrt: "${version}" is none of ${tensorRtPackages.join(', ')}`);
    }
    return {
      out: resolve(values.out),
      partSize: partBytes(values['part-size']),
      tensorRt: values['no-tensorrt'] ? undefined : version,
      yes: values.yes,
      json: values.json,
    };
  } catch (error) {
    throw new SetupError(`bundle:gpu: ${error.message}. The options are at the top of scripts/bundle-gpu.mjs.`);
  }
}

/** A folder with anything in it that is no bundle stays as it is. */
function requireReplaceable(out) {
  if (!existsSync(out)) return;
  const names = readdirSync(out);
  if (names.length === 0 || names.includes('parts.sha256')) return;
  throw new SetupError(`bundle:gpu: ${out} is not empty and no bundle. Name another folder, or empty it.`);
}

/** Everything beside the place where it belongs, then one rename. */
async function makeBundle({ out, partSize, tensorRt: version, yes }) {
  mkdirSync(dirname(out), { recursive: true });
  const stage = mkdtempSync(join(dirname(out), `.${basename(out)}-`));
  process.once('exit', () => rmSync(stage, { recursive: true, force: true }));
  const { signal } = interruption;
  const tensorRt = version && (await fetchTensorRt(version, { folder: join(stage, 'tensorrt'), say, signal, yes }));
  const compiled = await compileFor(tensorRt, { say, signal, yes });
  signal.throwIfAborted();
  say('gathering …');
  const contents = await gatherContents(join(stage, 'rvos'), { compiled, tensorRt });
  const bundle = join(stage, 'bundle');
  const parts = await writeBundle(bundle, { contents, tensorRt, partSize, say, signal });
  rmSync(out, { recursive: true, force: true });
  renameSync(bundle, out);
  return { tensorRt: version ?? null, parts };
}
