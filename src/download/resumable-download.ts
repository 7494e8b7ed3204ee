import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm, stat } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { formatByteSize } from '../byte-size.js';
import { RvosError, throwIfAborted } from '../errors.js';
import { toOutputError } from '../files/output-error.js';
import { type HttpClient, type HttpResponse, toDownloadError } from './http-client.js';
import { rangeOf } from './range-answer.js';
import type { RemoteFile } from './remote-file.js';
import {
  doneBytes,
  readTransferState,
  splitParts,
  type TransferPart,
  type TransferState,
  writeTransferState,
} from './transfer-state.js';

export interface TransferOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes of the file that are there, after every piece; less than before when it has to begin anew. */
  readonly onBytes?: ((done: number, total: number | undefined) => void) | undefined;
  readonly onVerify?: (() => void) | undefined;
  /** Told when something is tried again. */
  readonly onRetry?: ((reason: string, seconds: number) => void) | undefined;
  /** Files larger than this come in parts, several at a time. */
  readonly parallelAbove?: number;
  readonly partBytes?: number;
  readonly parallel?: number;
  /** Tries after the first without a byte of progress. */
  readonly retries?: number;
  /** Before the second try; doubled each time, at most 30 s. */
  readonly firstPauseSeconds?: number;
}

const defaults = { parallelAbove: 500e6, partBytes: 160e6, parallel: 4, retries: 5, firstPauseSeconds: 1 };
const longestPauseSeconds = 30;
const longestRetryAfterSeconds = 300;
/** Bytes between two writes of the state: what a killed process has to fetch again. */
const stateEvery = 4 * 2 ** 20;
const keptHint = 'Try again: what is downloaded is kept.';

/** A failure that another try may mend. */
class Retry extends Error {
  constructor(
    message: string,
    readonly afterSeconds?: number,
  ) {
    super(message);
  }
}
/** The server ignores ranges, or has another version of the file: what is there is of no use. */
class Anew extends Retry {}

/**
 * Downloads a file to `path` so that an interruption costs little: bytes go to `<path>.partial`, what of it is there to
 * `<path>.state`; size and hash are verified before it gets its name. Resolves with its SHA-256. A file of that
 * name is taken to be right. Throws `RvosError` DOWNLOAD_FAILED, LIMIT_EXCEEDED, DISK_FULL, OUTPUT_NOT_WRITABLE, ABORTED.
 */
export async function downloadResumable(
  client: HttpClient,
  file: RemoteFile,
  path: string,
  options: TransferOptions = {},
): Promise<string> {
  const transfer = new Transfer(client, file, path, { ...defaults, ...options });
  try {
    return await transfer.run();
  } catch (error) {
    const typed = toOutputError(error, path);
    throw typed instanceof RvosError ? typed : toDownloadError(error, file.path, options.signal);
  }
}

class Transfer {
  #state: TransferState | undefined;
  #handle: FileHandle | undefined;
  #sinceState = 0;
  #saving = Promise.resolve();
  #anew = 0;
  /** Whether the file was put together from several answers. */
  #pieced = false;

  constructor(
    private readonly client: HttpClient,
    private readonly file: RemoteFile,
    private readonly path: string,
    private readonly options: TransferOptions & typeof defaults,
  ) {}

  async run(): Promise<string> {
    if ((await stat(this.path).catch(() => undefined))?.isFile()) {
      const { sha256, problem } = await this.#verify(this.path);
      if (problem === undefined) return sha256;
      await rm(this.path);
    }
    for (let assembled = false; ; ) {
      await this.#begin();
      try {
        await this.#fetchAll();
      } finally {
        await this.#saveState().catch(() => undefined);
        await this.#handle?.close();
        this.#handle = undefined;
      }
      this.options.onVerify?.();
      const { sha256, problem } = await this.#verify(this.#partial);
      if (problem === undefined) {
        await rename(this.#partial, this.path);
        await this.#forget();
        return sha256;
      }
      // Nothing tells which of its bytes are wrong. What was put together from several answers gets a second chance.
      const pieces = this.#pieced || this.#state!.parts.length > 1;
      await this.#forget();
      if (assembled || !pieces) {
        const hint = 'The source gives another file than it says: try again later, or another source.';
        throw new RvosError('DOWNLOAD_FAILED', `${this.file.path}: ${problem}`, hint);
      }
      assembled = true;
      this.options.onRetry?.(problem, 0);
    }
  }

  get #partial(): string {
    return `${this.path}.partial`;
  }

  get #statePath(): string {
    return `${this.path}.state`;
  }

  async #begin(): Promise<void> {
    const state = await readTransferState(this.#statePath);
    const size = await stat(this.#partial).then(
      ({ size }) => size,
      () => -1,
    );
    const reached = state ? Math.max(...state.parts.map(({ start, done }) => (done > 0 ? start + done : 0))) : 0;
    const { bytes } = this.file;
    this.#state = state && size >= reached && (bytes === undefined || bytes === state.total) ? state : undefined;
    const resumed = this.#state !== undefined && doneBytes(this.#state) > 0;
    this.#handle = await open(this.#partial, resumed ? 'r+' : 'w');
    if (resumed) this.#report();
  }

  /** Runs until all parts are there; tries again where that may help. */
  async #fetchAll(): Promise<void> {
    const { retries, firstPauseSeconds, signal, onRetry } = this.options;
    let failures = 0;
    for (;;) {
      const before = this.#state ? doneBytes(this.#state) : 0;
      try {
        await this.#fetchOnce();
        return;
      } catch (error) {
        throwIfAborted(signal);
        const reason = retryReason(error);
        if (reason === undefined) throw error;
        if (error instanceof Anew && ++this.#anew > 2) throw this.#gaveUp(error.message);
        const progressed = this.#state !== undefined && doneBytes(this.#state) > before;
        failures = progressed ? 0 : failures + 1;
        if (failures > retries) throw this.#gaveUp(reason);
        const pause = Math.min(firstPauseSeconds * 2 ** Math.max(failures - 1, 0), longestPauseSeconds);
        const seconds = error instanceof Retry ? (error.afterSeconds ?? pause) : pause;
        onRetry?.(reason, seconds);
        await sleep(seconds * 1000, undefined, { signal }).catch(() => throwIfAborted(signal));
      }
    }
  }

  #gaveUp(reason: string): RvosError {
    return new RvosError('DOWNLOAD_FAILED', `${this.file.path}: ${reason}`, keptHint);
  }

  async #fetchOnce(): Promise<void> {
    const { parallelAbove, partBytes, parallel } = this.options;
    const { bytes } = this.file;
    if (!this.#state && bytes !== undefined) {
      const parts = splitParts(bytes, bytes > parallelAbove ? partBytes : Math.max(bytes, 1));
      this.#state = { total: bytes, version: '', parts };
    }
    // A size that the list does not give comes with the first answer.
    if (!this.#state) return this.#fetchPart(undefined, this.options.signal);
    const missing = this.#state.parts.filter(({ start, end, done }) => done < end - start);
    // One that fails ends the others; what they have so far counts.
    const stop = new AbortController();
    const { signal } = this.options;
    const forward = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', forward, { once: true });
    const work = async () => {
      for (let next = missing.shift(); next && !stop.signal.aborted; next = missing.shift()) {
        await this.#fetchPart(next, stop.signal);
      }
    };
    const workers = Array.from({ length: Math.min(parallel, missing.length) }, () =>
      work().catch((error: unknown) => {
        stop.abort();
        throw error;
      }),
    );
    try {
      await Promise.all(workers);
    } finally {
      await Promise.allSettled(workers);
      signal?.removeEventListener('abort', forward);
    }
  }

  async #fetchPart(wanted: TransferPart | undefined, signal: AbortSignal | undefined): Promise<void> {
    const name = this.file.path;
    const headers: Record<string, string> = { ...this.file.headers };
    if (wanted) {
      const from = wanted.start + wanted.done;
      if (from > wanted.start) this.#pieced = true;
      headers.range = `bytes=${from}-${wanted.end === this.#state!.total ? '' : wanted.end - 1}`;
    }
    const response = await this.client.get(await this.file.address(), { headers, signal });
    let unknownSize = false;
    try {
      await this.#checkStatus(response);
      const answer = rangeOf(response, name);
      const { total } = answer;
      const { bytes } = this.file;
      if (total !== undefined && bytes !== undefined && total !== bytes) {
        const message = `${name}: the server offers ${formatByteSize(total)}, the source's list says ${formatByteSize(bytes)}`;
        throw new RvosError('DOWNLOAD_FAILED', message, 'The source is changing: try again later.');
      }
      this.#state ??= {
        total: total ?? 0,
        version: answer.version,
        parts: splitParts(total ?? 0, Math.max(total ?? 0, 1)),
      };
      const state = this.#state;
      if (doneBytes(state) > 0 && state.version && answer.version && state.version !== answer.version) {
        throw await this.#startAnew('the file has changed at its source; it begins anew');
      }
      if (total !== undefined && total !== state.total) {
        throw await this.#startAnew(`the file has ${total} bytes now, ${state.total} before; it begins anew`);
      }
      if (answer.version) state.version = answer.version;
      const part = wanted ?? state.parts[0]!;
      if (answer.start !== part.start + part.done) {
        if (answer.start !== 0)
          throw new Retry(`the server answers with bytes from ${answer.start}, which nobody asked for`);
        throw await this.#startAnew('the server gives the file only as a whole; it begins anew', true);
      }
      unknownSize = total === undefined && bytes === undefined;
      await this.#receive(response, part, unknownSize);
    } catch (error) {
      // Bytes of a file whose size nobody knows: how many are missing, nobody knows either.
      if (unknownSize) this.#state = undefined;
      throw error;
    } finally {
      response.body.on('error', () => undefined).destroy();
    }
  }

  async #receive(response: HttpResponse, part: TransferPart, unknownSize: boolean): Promise<void> {
    const { maxBytes } = this.client.policy;
    for await (const piece of response.body as AsyncIterable<Uint8Array>) {
      const state = this.#state!;
      if (unknownSize) {
        part.end += piece.length;
        state.total = part.end;
      }
      const position = part.start + part.done;
      // A part may be answered with all that follows: the rest is another part's.
      const taken = piece.subarray(0, part.end - position);
      await this.#handle!.write(taken, 0, taken.length, position);
      part.done += taken.length;
      this.#report();
      if (doneBytes(state) > maxBytes) {
        const message = `${this.file.path} is larger than ${formatByteSize(maxBytes)}`;
        throw new RvosError('LIMIT_EXCEEDED', message, 'No model is that large: check the source.');
      }
      this.#sinceState += taken.length;
      if (this.#sinceState >= stateEvery && !unknownSize) await this.#saveState();
      if (taken.length < piece.length) {
        if (part.end < state.total) return;
        const message = `${this.file.path}: the server sends more than the ${formatByteSize(state.total)} it should have`;
        await this.#forget();
        throw new RvosError('DOWNLOAD_FAILED', message, 'Check the source.');
      }
    }
    if (part.done < part.end - part.start) throw new Retry('the connection ended before the file did');
  }

  async #checkStatus(response: HttpResponse): Promise<void> {
    const { status, headers } = response;
    const name = this.file.path;
    if (status === 416) throw await this.#startAnew('the server has no such bytes; it begins anew');
    if (status === 408 || status === 429 || status >= 500) {
      throw new Retry(`the server answers ${status}`, retryAfter(headers['retry-after']));
    }
    if (status === 401 || status === 403 || status === 404 || (status !== 200 && status !== 206)) {
      const hints: Record<number, string> = {
        401: 'It needs a token: set MODELSCOPE_API_TOKEN or HF_TOKEN.',
        403: 'It needs a token with more rights, or its terms accepted on the hub’s page: set MODELSCOPE_API_TOKEN or HF_TOKEN.',
        404: 'Check name and revision.',
      };
      const hint = hints[status] ?? keptHint;
      throw new RvosError('DOWNLOAD_FAILED', `${name}: the server answers ${status}`, hint);
    }
    const type = String(headers['content-type'] ?? '');
    const length = headers['content-length'];
    const other = this.file.bytes === undefined || length === undefined || Number(length) !== this.file.bytes;
    if (headers['content-range'] !== undefined || headers['content-disposition'] !== undefined || !other) return;
    if (/^text\/html/i.test(type) && !/\.html?$/i.test(name)) {
      const hint = 'Look at the address in a browser: a login, a proxy or a quota may be in between.';
      throw new RvosError('DOWNLOAD_FAILED', `${name}: the server answers with a page instead of the file`, hint);
    }
    if (/\.json$/i.test(name) && (this.file.bytes === undefined || length === undefined)) return;
    if (/^application\/json/i.test(type) && Number(length ?? 0) < 65_536) {
      const text = Buffer.concat(await response.body.take(16).toArray()).toString('utf8');
      const message = jsonMessage(text);
      // Then its length alone is wrong, which is told as such.
      if (message === undefined && /\.json$/i.test(name)) return;
      const what = message ?? 'JSON instead of the file';
      throw new RvosError('DOWNLOAD_FAILED', `${name}: the server answers: ${what}`, 'Check name, revision and token.');
    }
  }

  async #startAnew(reason: string, single = false): Promise<Anew> {
    const total = this.file.bytes ?? this.#state?.total;
    await this.#saving;
    await rm(this.#statePath, { force: true });
    // Other parts may still write into the old list: they get a new one, whose bytes are none of theirs.
    this.#state =
      total === undefined || this.file.bytes === undefined
        ? undefined
        : { total, version: '', parts: splitParts(total, single ? Math.max(total, 1) : this.#partLength(total)) };
    this.options.onBytes?.(0, this.#state?.total);
    return new Anew(reason);
  }

  #partLength(total: number): number {
    const { parallelAbove, partBytes } = this.options;
    return total > parallelAbove ? partBytes : Math.max(total, 1);
  }

  #report(): void {
    const state = this.#state!;
    this.options.onBytes?.(doneBytes(state), state.total || undefined);
  }

  /** One at a time, in turn. */
  #saveState(): Promise<void> {
    this.#sinceState = 0;
    this.#saving = this.#saving.then(async () => {
      if (this.#state && doneBytes(this.#state) > 0) await writeTransferState(this.#statePath, this.#state);
    });
    return this.#saving;
  }

  async #verify(path: string): Promise<{ sha256: string; problem: string | undefined }> {
    const { bytes, sha256: wanted, gitBlob } = this.file;
    const { size } = await stat(path);
    const hash = createHash('sha256');
    const blob: Hash | undefined = gitBlob ? createHash('sha1').update(`blob ${size}\0`) : undefined;
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) {
      throwIfAborted(this.options.signal);
      hash.update(piece as Buffer);
      blob?.update(piece as Buffer);
    }
    const sha256 = hash.digest('hex');
    const expected = bytes ?? this.#state?.total ?? size;
    let problem: string | undefined;
    if (size !== expected) problem = `has ${formatByteSize(size)} instead of ${formatByteSize(expected)}`;
    else if (size === 0 && bytes !== 0) problem = 'is empty';
    else if (wanted !== undefined && sha256 !== wanted) problem = `has SHA-256 ${sha256} instead of ${wanted}`;
    else if (blob && blob.digest('hex') !== gitBlob) problem = 'has another git hash than the source says';
    return { sha256, problem };
  }

  async #forget(): Promise<void> {
    await this.#saving.catch(() => undefined);
    await Promise.all([this.#partial, this.#statePath].map((path) => rm(path, { force: true })));
  }
}

/** Why another try may help; undefined if none can. */
function retryReason(error: unknown): string | undefined {
  if (error instanceof Retry) return error.message;
  if (error instanceof RvosError) {
    // A connection that could not be made or broke, as the client words it; all others are answers.
    return error.code === 'DOWNLOAD_FAILED' && error.cause !== undefined ? error.message : undefined;
  }
  if (toOutputError(error, '') instanceof RvosError) return undefined;
  return error instanceof Error ? error.message : String(error);
}

function retryAfter(value: string | string[] | undefined): number | undefined {
  if (value === undefined) return undefined;
  const text = String(value);
  const seconds = /^\d+$/.test(text) ? Number(text) : (Date.parse(text) - Date.now()) / 1000;
  return Number.isFinite(seconds) ? Math.min(Math.max(seconds, 0), longestRetryAfterSeconds) : undefined;
}

function jsonMessage(text: string): string | undefined {
  try {
    const value = JSON.parse(text) as { Message?: unknown; error?: unknown; Code?: unknown };
    const message =
      value.Message ?? value.error ?? (value.Code !== undefined ? `code ${String(value.Code)}` : undefined);
    return typeof message === 'string' ? message.replace(/\s+/g, ' ').slice(0, 200) : undefined;
  } catch {
    return undefined;
  }
}
