// docs/benchmarks.md and its plots, made from the results of `npm run bench` and `npm run bench:gpu`. No figure is typed by hand.
//   node bench/page/page.mjs
import { existsSync } from 'node:fs';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../../scripts/run.mjs';
import { allWorkloads, columns } from '../cpu/workloads.mjs';
import { plot, ratios, sentencesPlot } from './plots.mjs';

const images = join(root, 'docs/images');
const unknown = 'not measured';

/** Writes the page from what has been measured. */
export async function writePage() {
  const cpu = await read(join(root, 'bench/results/cpu.json'));
  await mkdir(images, { recursive: true });
  const pictures = {
    ratios: await picture(
      'benchmark-ratios',
      cpu && ratios(cpu.workloads),
      'How many times as long PyTorch takes as rvos',
    ),
    sentences: await picture(
      'benchmark-sentences',
      cpu && sentencesPlot(cpu.workloads, columns),
      'Seconds by sentences',
    ),
  };
  await writeFile(join(root, 'docs/benchmarks.md'), page(cpu, pictures));
}

function page(cpu, pictures) {
  return `<!-- Made by bench/page/page.mjs from bench/results; do not edit. -->
# Benchmarks

\`npm run bench\` runs rvos and PyTorch in turns on the same clips, with the same weights and threads, compares the masks, and makes this
page. \`npm run bench -- --quick\` is one workload; \`rvos bench\` measures rvos alone on a machine without Python.

| column | what runs |
|---|---|
| \`rvos\` | OpenVINO, the precision of \`auto\`: bf16 where the processor multiplies it |
| \`rvos_fp32\` | the same in FP32 |
| \`rvos_onnxruntime\` | ONNX Runtime, FP32 |
| \`published\` | PyTorch as published: the whole clip decoded and resized, the whole network for each window and sentence, the masks of all object queries at full size, FP32 |
| \`published_bf16\` | the same under autocast |
| \`strong\` | PyTorch as one would tune it: one backbone pass for all sentences, sentences in a batch, inference mode, bf16 where the processor multiplies it, \`torch.compile\` (its time apart) |

A figure is void if the masks of its column differ from those of \`published\` for the same object query (IoU below 0.999 in FP32, 0.99
in bf16).

## On a CPU

${cpu ? cpuSection(cpu, pictures) : `${unknown}\n`}
## On a GPU

${unknown}
`;
}

function cpuSection(cpu, pictures) {
  const { machine, versions = {}, workloads } = cpu;
  const measured = new Map(workloads.map((workload) => [workload.name, workload]));
  const names = allWorkloads({ height: 0, width: 0 }).map(({ name }) => name);
  const facts = [
    `${machine.processor} (family ${machine.family}; ${machine.features.join(', ')})`,
    `${machine.threads} threads`,
    `${(machine.memoryBytes / 2 ** 30).toFixed(0)} GiB`,
    ...Object.entries(versions).flatMap(([name, version]) => (version ? [`${name} ${version}`] : [])),
    `commit ${cpu.commit}`,
    cpu.date.slice(0, 10),
  ];
  return `${facts.join(' · ')}
${pictures.ratios}${pictures.sentences}
Seconds, medians of the rounds; in brackets how many times as long as \`rvos\`:

| workload | ${columns.map((name) => `\`${name}\``).join(' | ')} | mask IoU |
|---|${columns.map(() => '--:|').join('')}--:|
${names.map((name) => row(name, measured.get(name))).join('\n')}

Most memory of the tree of processes, GB:

| workload | ${columns.map((name) => `\`${name}\``).join(' | ')} |
|---|${columns.map(() => '--:|').join('')}
${names.flatMap((name) => (measured.has(name) ? [memoryRow(measured.get(name))] : [])).join('\n')}
`;
}

function row(name, workload) {
  if (!workload) return `| \`${name}\` | ${columns.map(() => unknown).join(' | ')} | ${unknown} |`;
  const cells = columns.map((column) => {
    const seconds = workload.seconds[column];
    if (workload.void.includes(column)) return 'void';
    if (seconds === null) return unknown;
    const times = workload.ratio[column];
    const once = workload.once.includes(column) ? ', once' : '';
    return `${seconds.toFixed(2)}${times ? ` (${times.toFixed(1)} ×${once})` : ''}`;
  });
  return `| \`${name}\` | ${cells.join(' | ')} | ${workload.mask_iou === null ? unknown : workload.mask_iou.toFixed(4)} |`;
}

function memoryRow({ name, peak_bytes: peak }) {
  return `| \`${name}\` | ${columns.map((column) => (peak[column] ? (peak[column] / 1e9).toFixed(2) : unknown)).join(' | ')} |`;
}

/** The plot in both themes, as Markdown; nothing where there is nothing to show. */
async function picture(name, specification, title) {
  const files = { light: `${name}-light.svg`, dark: `${name}-dark.svg` };
  if (!specification) {
    for (const file of Object.values(files)) await rm(join(images, file), { force: true });
    return '';
  }
  const drawn = await plot(specification);
  for (const [theme, file] of Object.entries(files)) await writeFile(join(images, file), drawn[theme]);
  return `
<picture>
<source media="(prefers-color-scheme: dark)" srcset="images/${files.dark}">
<img alt="${title}" src="images/${files.light}">
</picture>
`;
}

async function read(path) {
  return existsSync(path) ? JSON.parse(await readFile(path, 'utf8')) : undefined;
}

if (process.argv[1] && import.meta.filename === process.argv[1]) await writePage();
