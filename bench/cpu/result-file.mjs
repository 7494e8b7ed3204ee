// Where figures are kept while a long run is under way, so that one that was ended goes on; and what a run's result looks like.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { cpus, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { root } from '../../scripts/run.mjs';

export class ResultFile {
  #result;

  constructor(path, head, { resume }) {
    this.path = path;
    const earlier = resume ? read(path) : undefined;
    const same = earlier && sameKind(earlier, head);
    this.#result = { ...head, date: new Date().toISOString(), workloads: same ? earlier.workloads : [] };
  }

  get result() {
    return this.#result;
  }

  has(name) {
    return this.#result.workloads.some((workload) => workload.name === name);
  }

  async add(workload) {
    this.#result.workloads.push(workload);
    await this.save();
  }

  async set(values) {
    Object.assign(this.#result, values);
    await this.save();
  }

  async save() {
    await mkdir(dirname(this.path), { recursive: true });
    const temporary = `${this.path}.${process.pid}.partial`;
    await writeFile(temporary, `${JSON.stringify(this.#result, null, 2)}\n`);
    await rename(temporary, this.path);
  }
}

/** The machine and the state of the code that figures belong to. */
export function machine(threads) {
  const info = readOr('/proc/cpuinfo', '');
  const flags = new Set(/^flags\s*:\s*(.*)$/m.exec(info)?.[1].split(' ') ?? []);
  const known = ['avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16', 'amx_int8'];
  return {
    processor: cpus()[0]?.model ?? 'unknown',
    family: Number(/^cpu family\s*:\s*(\d+)/m.exec(info)?.[1] ?? 0),
    features: known.filter((name) => flags.has(name)),
    threads,
    memoryBytes: totalmem(),
    system: `${process.platform} ${process.arch}`,
  };
}

export function commit() {
  try {
    const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
    return (
      git('rev-parse', '--short', 'HEAD') +
      (git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' and changes')
    );
  } catch {
    return 'unknown';
  }
}

function sameKind(a, b) {
  return a.commit === b.commit && JSON.stringify(a.machine) === JSON.stringify(b.machine);
}

function read(path) {
  const text = readOr(path, undefined);
  return text === undefined ? undefined : JSON.parse(text);
}

function readOr(path, otherwise) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return otherwise;
  }
}
