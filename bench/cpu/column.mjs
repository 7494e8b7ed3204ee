// A column of the benchmark as its parent sees it: a process that runs jobs one after another, and its peak of memory.
import { fork, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../../scripts/run.mjs';
import { watchPeak } from '../process-tree.mjs';

/** What a column of rvos asks of `Segmenter.open`. */
const rvosOptions = {
  rvos: { backend: 'openvino', precision: 'auto' },
  rvos_fp32: { backend: 'openvino', precision: 'fp32' },
  rvos_onnxruntime: { backend: 'onnxruntime', precision: 'fp32' },
};

export class Column {
  #child;
  #answers = [];
  #waiting = [];
  #ended;

  constructor(name, { model, threads, python }) {
    this.name = name;
    if (name in rvosOptions) {
      const options = { ...rvosOptions[name], model, threads };
      const program = join(root, 'bench', 'cpu', 'rvos-column.mjs');
      this.#child = fork(program, [JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
      this.#child.on('message', (answer) => this.#receive(answer));
      this.send = (job) => this.#child.send(job);
    } else {
      const args = ['bench/pytorch/columns.py', name, '--model', model, '--threads', String(threads)];
      this.#child = spawn(python, args, { cwd: root, stdio: ['pipe', 'pipe', 'inherit'], env: pythonEnvironment() });
      createInterface({ input: this.#child.stdout }).on('line', (line) => this.#receive(JSON.parse(line)));
      this.send = (job) => this.#child.stdin.write(`${JSON.stringify(job)}\n`);
      this.#child.stdin.on('error', () => undefined); // its end tells more
    }
    this.#child.once('exit', (code, signal) => {
      this.#ended = new Error(`the column ${name} ended with ${signal ?? code}`);
      for (const { reject } of this.#waiting.splice(0)) reject(this.#ended);
    });
    this.#child.once('error', (error) => {
      this.#ended = error;
    });
  }

  /** Versions and precision. */
  async ready() {
    const answer = await this.#next();
    if (answer.error) throw new Error(`${this.name}: ${answer.error}`);
    return answer;
  }

  /** Runs a job; `peakBytes` is the most that the tree of processes held meanwhile. */
  async run(job) {
    const peak = watchPeak(this.#child.pid);
    this.send(job);
    try {
      const answer = await this.#next();
      if (answer.error) throw new Error(`${this.name}: ${answer.error}`);
      return { ...answer, peakBytes: peak.stop() };
    } finally {
      peak.stop();
    }
  }

  async stop() {
    if (this.#ended) return;
    const exited = new Promise((resolve) => this.#child.once('exit', resolve));
    if (this.#child.connected) this.#child.disconnect();
    else this.#child.stdin?.end();
    await exited;
  }

  #next() {
    return new Promise((resolve, reject) => {
      if (this.#answers.length > 0) resolve(this.#answers.shift());
      else if (this.#ended) reject(this.#ended);
      else this.#waiting.push({ resolve, reject });
    });
  }

  #receive(answer) {
    const waiting = this.#waiting.shift();
    if (waiting) waiting.resolve(answer);
    else this.#answers.push(answer);
  }
}

/** Some systems hold old BLAS libraries back by these; they would slow PyTorch's NumPy down as well. */
function pythonEnvironment() {
  const { OPENBLAS_CORETYPE, OPENBLAS_L2_SIZE, ...rest } = process.env;
  return { ...rest, PYTHONDONTWRITEBYTECODE: '1' };
}
