import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { RvosError } from '../../errors.js';
import { remedies } from '../../installation.js';
import type { FromProcess, ToProcess } from './protocol.js';
import type { CpuRuntimeName, RuntimeSettings } from './runtime.js';

/** Standard error of the child that is kept for messages, in characters. */
const keptErrorOutput = 2000;

/** The module that the child runs. From TypeScript sources (tests) it is the built one: plain Node runs the child. */
const entry = fileURLToPath(
  new URL(
    import.meta.url.endsWith('.ts') ? '../../../dist/backends/cpu/process-entry.js' : './process-entry.js',
    import.meta.url,
  ),
);

/** How long a cancelled job may take to end before the process is ended with it: a graph that is being compiled goes on. */
const cancelMilliseconds = 500;

/** Where a job's answers go; `true` ends the job. */
export type ReplyHandler = (reply: FromProcess) => boolean;

/** The child process in which a runtime computes on the CPU, seen from the parent. One job at a time. */
export class InferenceProcess {
  readonly #child: ChildProcess;
  readonly #exited: Promise<void>;
  #errorOutput = '';
  #killed = false;
  #gone: RvosError | undefined;
  #job: { onReply: ReplyHandler; resolve: () => void; reject: (error: unknown) => void } | undefined;
  #cancelling: { readonly done: Promise<void>; readonly answered: () => void } | undefined;

  constructor(private readonly settings: RuntimeSettings) {
    this.#child = fork(entry, [String(process.pid), JSON.stringify(settings)], {
      serialization: 'advanced',
      execArgv: [],
      stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
      // Its own process group: Ctrl-C reaches the parent alone, which decides what becomes of the child.
      detached: process.platform !== 'win32',
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#errorOutput = (this.#errorOutput + text).slice(-keptErrorOutput);
    });
    this.#child.on('message', (reply) => this.#receive(reply as FromProcess));
    this.#exited = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null, cause?: Error) => {
        this.#gone ??= this.#explainExit(code, signal, cause);
        this.#cancelling?.answered();
        this.#settle((job) => job.reject(this.#gone));
        resolve();
      };
      this.#child.once('exit', (code, signal) => end(code, signal));
      this.#child.on('error', (cause) => {
        // Could not start, or the channel broke while sending; in the latter case `exit` follows.
        if (this.#child.pid === undefined) end(null, null, cause);
      });
    });
    this.#keepParentAlive(false);
  }

  /** False once the process has ended or was told to. */
  get usable(): boolean {
    return !this.#gone && !this.#killed;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Runs one job: `send` posts its messages, `onReply` takes the answers until it returns true. Rejects when the child
   * dies meanwhile: BACKEND_FAILED, or OUT_OF_MEMORY when the system killed it.
   */
  async run(
    send: (post: (message: ToProcess) => Promise<void>) => Promise<void>,
    onReply: ReplyHandler,
  ): Promise<void> {
    if (this.#gone) throw this.#gone;
    if (this.#job) throw new Error('the inference process runs one job at a time');
    this.#keepParentAlive(true);
    try {
      const answered = new Promise<void>((resolve, reject) => {
        this.#job = { onReply, resolve, reject };
        send((message) => this.#post(message)).catch(reject);
      });
      await answered;
    } finally {
      this.#job = undefined;
      this.#keepParentAlive(false);
    }
  }

  /** Waits until the runtime is loaded; its library's version. */
  async hello(): Promise<string> {
    let version = '';
    await this.run(
      (post) => post({ kind: 'hello' }),
      (reply) => {
        if (reply.kind !== 'hello') return false;
        version = reply.version;
        return true;
      },
    );
    return version;
  }

  /**
   * Ends the job under way, which rejects, and leaves the process ready for the next one; where that takes too long, ends
   * the process. Resolves when either is done.
   */
  cancel(): Promise<void> {
    if (this.#cancelling) return this.#cancelling.done;
    if (this.#gone || !this.#job) return Promise.resolve();
    let answered: () => void = () => undefined;
    const done = new Promise<void>((resolve) => {
      answered = resolve;
    });
    const timer = setTimeout(() => void this.kill(), cancelMilliseconds);
    this.#post({ kind: 'cancel' }).catch(() => undefined); // it is gone, which ends the waiting too
    this.#cancelling = {
      done,
      answered: () => {
        clearTimeout(timer);
        this.#cancelling = undefined;
        answered();
      },
    };
    this.#settle((job) => job.reject(new Error('the job was cancelled')));
    return done;
  }

  /** Ends the process at once, whatever it is doing; resolves when it is gone. */
  async kill(): Promise<void> {
    this.#killed = true;
    if (this.#gone) return;
    this.#child.ref();
    this.#child.kill('SIGKILL');
    await this.#exited;
  }

  #post(message: ToProcess): Promise<void> {
    // The job that still sends is over; nothing of it may stand behind the message that ends it.
    if (this.#cancelling) return Promise.reject(new Error('the job was cancelled'));
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) return void this.#exited.then(() => reject(this.#gone));
      this.#child.send(message, (error) => {
        if (!error) return resolve();
        // The channel breaks when the child dies: its exit tells more.
        void this.#exited.then(() => reject(this.#gone));
      });
    });
  }

  #receive(reply: FromProcess): void {
    try {
      if (this.#cancelling) {
        if (reply.kind === 'cancelled') this.#cancelling.answered();
      } else if (reply.kind === 'failed') {
        const error = failedJob(reply, runtimeTitles[this.settings.runtime]);
        this.#settle((job) => job.reject(error));
      } else if (this.#job?.onReply(reply)) {
        this.#settle((job) => job.resolve());
      }
    } catch (error) {
      this.#settle((job) => job.reject(error));
    }
  }

  #settle(how: (job: { resolve: () => void; reject: (error: unknown) => void }) => void): void {
    const job = this.#job;
    this.#job = undefined;
    if (job) how(job);
  }

  /** A program that forgets to dispose its segmenter still ends: an idle child does not hold it. */
  #keepParentAlive(busy: boolean): void {
    const pipes = [this.#child.stderr, this.#child.channel] as ({ ref(): void; unref(): void } | null | undefined)[];
    for (const handle of [this.#child, ...pipes]) {
      if (busy) handle?.ref();
      else handle?.unref();
    }
  }

  #explainExit(code: number | null, signal: NodeJS.Signals | null, cause?: Error): RvosError {
    const options = { cause: cause ?? new Error(this.#errorOutput || 'no message') };
    if (this.#killed)
      return new RvosError('BACKEND_FAILED', 'the inference process was ended', 'Open a new segmenter.', options);
    if (signal === 'SIGKILL') {
      return new RvosError(
        'OUT_OF_MEMORY',
        'the system ended the inference process, most likely for want of memory',
        'Use a smaller --short-side and --long-side, fewer sentences at once, or a machine with more memory.',
        options,
      );
    }
    const how = cause
      ? `could not start: ${cause.message}`
      : signal
        ? `was ended by ${signal}`
        : `ended with code ${code}`;
    const last = this.#errorOutput.trim().split('\n').at(-1);
    return new RvosError(
      'BACKEND_FAILED',
      `the inference process ${how}${last ? ` (${last.slice(0, 300)})` : ''}`,
      'Run it again; if it repeats, `rvos doctor` shows what this machine can run.',
      options,
    );
  }
}

/** What people call them. */
export const runtimeTitles: Readonly<Record<CpuRuntimeName, string>> = {
  openvino: 'OpenVINO',
  onnxruntime: 'ONNX Runtime',
};

function failedJob(reply: FromProcess & { kind: 'failed' }, runtime: string): RvosError {
  const message = reply.message.split('\n')[0]!.slice(0, 500);
  switch (reply.reason) {
    case 'memory':
      return new RvosError(
        'OUT_OF_MEMORY',
        `not enough memory for this window (${message})`,
        'Use a smaller --short-side and --long-side, fewer sentences at once, or a machine with more memory.',
      );
    case 'load':
      return new RvosError(
        'BACKEND_UNAVAILABLE',
        reply.remedy ? message : `${runtime} or the native core could not be loaded (${message})`,
        reply.remedy ?? `${remedies.reinstall} \`rvos doctor\` shows what is missing.`,
      );
    case 'run':
      return new RvosError(
        'BACKEND_FAILED',
        `${runtime} failed (${message})`,
        'Check the model folder with `rvos inspect`; if it is whole, please report this.',
      );
  }
}
