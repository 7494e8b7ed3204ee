#!/usr/bin/env node
// `npm run bench`: rvos against PyTorch doing the published algorithm, on the same clips, threads and weights, in one run, and
// docs/benchmarks.md made from it. docs/benchmarks.md says what each column does.
//
//   node bench/run.mjs [--quick] [--only NAME,…] [--rounds 3] [--threads n] [--out FILE] [--no-pytorch] [--fresh]
//
// --quick      `full-window-2` alone with 2 rounds; docs/ stays as it is
// --only       workloads by name, or by how it begins; docs/ stays as it is
// --out        where the JSON goes; default bench/results/cpu.json, with --quick or --only build/bench/quick.json
// --no-pytorch leaves PyTorch's columns out; the result says so
// --fresh      measures everything anew; else a run that was ended goes on, on the same machine and commit
import { readFileSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureOpenVino } from '../scripts/native-kit/openvino.mjs';
import { openVino } from '../scripts/native-kit/packages.mjs';
import { exitWith, root, SetupError } from '../scripts/run.mjs';
import { Column } from './cpu/column.mjs';
import { measureWorkload } from './cpu/measure-workload.mjs';
import { compactModel, fullModel, workFolder } from './cpu/models.mjs';
import { copyRate, matrixRate, pytorchRates } from './cpu/rates.mjs';
import { commit, machine, ResultFile } from './cpu/result-file.mjs';
import { torchPython } from './cpu/torch-environment.mjs';
import { allWorkloads, columns, pytorchColumns } from './cpu/workloads.mjs';
import { writePage } from './page/page.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    rounds: { type: 'string' },
    threads: { type: 'string', default: String(availableParallelism()) },
    out: { type: 'string' },
    'no-pytorch': { type: 'boolean', default: false },
    fresh: { type: 'boolean', default: false },
  },
});
const part = options.quick || options.only !== undefined;
const threads = Number(options.threads);
const rounds = Number(options.rounds ?? (options.quick ? 2 : 3));
const out = resolve(options.out ?? join(root, part ? 'build/bench/quick.json' : 'bench/results/cpu.json'));
const folder = join(workFolder, 'scratch');

try {
  await bench();
} catch (error) {
  exitWith(error);
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function bench() {
  await mkdir(folder, { recursive: true });
  const torch = options['no-pytorch'] ? { missing: '--no-pytorch was given' } : torchPython(tell);
  if (torch.missing) tell(`PyTorch's columns are left out: ${torch.missing}`);
  await ensureOpenVino({ yes: true, progress: tell });
  const { networkSize } = await import('../dist/preprocess/size-rule.js');
  const { openModelFolder } = await import('../dist/index.js');
  const compact = await openModelFolder(compactModel());
  const workloads = allWorkloads(networkSize({ height: 720, width: 1280 }, compact.preprocessing)).filter(wanted);
  if (workloads.length === 0) throw new SetupError(`no workload is called ${options.only}.`);

  const file = new ResultFile(
    out,
    { machine: machine(threads), commit: commit() },
    { resume: !options.fresh && !part },
  );
  const rates = { copy: await copyRate(), matrix_onnxruntime_fp32: await matrixRate(threads) };
  if (torch.python) rates.matrix_pytorch = pytorchRates(torch.python, threads);
  await file.set({ rates, pytorch_missing: torch.missing ?? null });

  for (const model of ['full', 'compact']) {
    const left = workloads.filter((workload) => workload.model === model && !file.has(workload.name));
    if (left.length === 0) continue;
    const path = model === 'full' ? await fullModel(tell) : compactModel();
    const tokenizer = await (await openModelFolder(path)).tokenizer();
    const tokens = (text) => tokenizer.prepare(text).ids;
    const running = new Map();
    const names = columns.filter((name) => torch.python || !pytorchColumns.includes(name));
    try {
      for (const name of names) running.set(name, new Column(name, { model: path, threads, python: torch.python }));
      const ready = new Map(
        await Promise.all([...running].map(async ([name, column]) => [name, await column.ready()])),
      );
      if (ready.get('rvos').backend !== 'openvino') throw new SetupError('rvos did not take OpenVINO.');
      const precisions = Object.fromEntries([...ready].map(([name, { precision }]) => [name, precision]));
      await file.set({ versions: { ...versions(), torch: ready.get('published')?.torch ?? null } });
      for (const workload of left) {
        await file.add(await measureWorkload(workload, { running, precisions, tokens, rounds, folder, tell }));
      }
    } finally {
      await Promise.all([...running.values()].map((column) => column.stop()));
    }
  }
  tell(`written to ${out}`);
  if (part) return print(file.result);
  await writePage();
}

function wanted({ name }) {
  if (options.quick) return name === 'full-window-2';
  return options.only === undefined || options.only.split(',').some((beginning) => name.startsWith(beginning));
}

/** What figures depend on. */
function versions() {
  const of = (name) => JSON.parse(readFileSync(join(root, 'node_modules', name, 'package.json'), 'utf8')).version;
  return { node: process.versions.node, openvino: openVino.version, onnxruntime: of('onnxruntime-node') };
}

function print({ workloads }) {
  for (const { name, seconds, ratio, mask_iou: iou, void: unusable } of workloads) {
    process.stdout.write(`${name}\n`);
    for (const column of columns) {
      const value = seconds[column] === null ? 'not measured' : `${seconds[column].toFixed(2)} s`;
      const times = ratio[column] ? `   rvos is ${ratio[column].toFixed(1)} times as fast` : '';
      process.stdout.write(
        `  ${column.padEnd(18)}${value}${unusable.includes(column) ? '   void: masks differ' : ''}${times}\n`,
      );
    }
    process.stdout.write(`  least mask IoU with published: ${iou === null ? 'not measured' : iou.toFixed(4)}\n`);
  }
}

function tell(line) {
  process.stderr.write(`bench: ${line}\n`);
}
