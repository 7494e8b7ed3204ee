import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { ffmpegMissing, ffmpegPath } from './ffmpeg.js';
import { FfmpegLog } from './ffmpeg-log.js';

export interface FfmpegEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface FfmpegRunOptions {
  /** `pipe` to write to `process.stdin`, which ffmpeg reads as `pipe:0`. */
  readonly stdin: 'ignore' | 'pipe';
  readonly stdout: 'ignore' | 'pipe';
  /** A pipe from ffmpeg's file descriptor 3. */
  readonly extra?: 'pipe';
  readonly signal?: AbortSignal | undefined;
}

/** No ffmpeg outlives this process. */
const running = new Set<ChildProcess>();
let exitHookInstalled = false;

/**
 * One run of ffmpeg. It never reads the terminal, is killed when the signal fires or this process exits, and always
 * ends in `ended`. Nothing is killed gently: ffmpeg's output is a pipe or a file that is thrown away then.
 */
export class FfmpegProcess {
  readonly log = new FfmpegLog();
  /** Resolves when the process has ended and all its output was read; rejects with FFMPEG_MISSING. */
  readonly ended: Promise<FfmpegEnd>;
  readonly #child: ChildProcess;
  /** Those who wait for something that only a running ffmpeg does. */
  readonly #waiting = new Set<(error: Error) => void>();
  #over: Error | undefined;
  #killed = false;

  constructor(args: readonly string[], options: FfmpegRunOptions) {
    const program = ffmpegPath();
    this.#child = spawn(program, ['-hide_banner', '-nostdin', '-nostats', '-loglevel', 'level+info', ...args], {
      stdio: [options.stdin, options.stdout, 'pipe', ...(options.extra ? [options.extra] : [])],
      windowsHide: true,
      // Its own process group: Ctrl-C reaches us alone, and we decide what becomes of it.
      detached: process.platform !== 'win32',
    });
    const child = this.#child;
    running.add(child);
    if (!exitHookInstalled) {
      process.on('exit', () => {
        for (const each of running) each.kill('SIGKILL');
      });
      exitHookInstalled = true;
    }
    child.stderr!.setEncoding('utf8').on('data', (text: string) => this.log.push(text));
    // A writer learns of the end through `ended`; without a listener EPIPE would end this process.
    child.stdin?.on('error', () => {});
    const onAbort = () => this.#kill();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    this.ended = new Promise<FfmpegEnd>((resolve, reject) => {
      child.once('error', (error) => {
        // Of a process that runs, only a failed kill is reported here, and 'close' follows.
        if (child.pid !== undefined) return;
        reject(ffmpegMissing(program, error));
        this.#tellEnd(null);
      });
      child.once('close', (code, signal) => {
        this.log.push('\n');
        resolve({ code, signal });
        this.#tellEnd(code ?? signal);
      });
    }).finally(() => {
      options.signal?.removeEventListener('abort', onAbort);
      running.delete(child);
    });
    this.ended.catch(() => {});
    if (options.signal?.aborted) this.#kill();
  }

  get stdout(): Readable {
    return this.#child.stdout!;
  }

  /** What ffmpeg writes to its file descriptor 3. */
  get extra(): Readable {
    return this.#child.stdio[3] as Readable;
  }

  get stdin(): Writable {
    return this.#child.stdin!;
  }

  /** True once this side decided to end it: then its complaints mean nothing. */
  get killed(): boolean {
    return this.#killed;
  }

  /**
   * A promise that `work` settles, or the end of ffmpeg if that comes first. Nothing of it stays when it has settled: a
   * reaction on `ended` for each call would keep what the call was given for as long as ffmpeg runs.
   */
  async whileRunning<T>(work: (resolve: (value: T) => void, reject: (error: Error) => void) => void): Promise<T> {
    let fail: ((error: Error) => void) | undefined;
    try {
      return await new Promise<T>((resolve, reject) => {
        if (this.#over) return reject(this.#over);
        fail = reject;
        this.#waiting.add(fail);
        work(resolve, reject);
      });
    } finally {
      if (fail) this.#waiting.delete(fail);
    }
  }

  /** Ends the process; resolves when it is gone. Safe to call at any time, any number of times. */
  async kill(): Promise<void> {
    this.#kill();
    await this.ended.catch(() => {});
  }

  #tellEnd(how: number | NodeJS.Signals | null): void {
    this.#over = new Error(
      `ffmpeg ended early (${typeof how === 'number' ? `code ${how}` : (how ?? 'it did not start')})`,
    );
    for (const fail of this.#waiting) fail(this.#over);
    this.#waiting.clear();
  }

  #kill(): void {
    if (this.#killed || !running.has(this.#child)) return;
    this.#killed = true;
    this.#child.kill('SIGKILL');
    // 'close' waits for the pipes to be read to their end.
    this.#child.stdout?.destroy();
    (this.#child.stdio[3] as Readable | undefined)?.destroy();
    this.#child.stdin?.destroy();
  }
}
