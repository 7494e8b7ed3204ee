import { mkdtemp, open, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { abortError, RvosError, throwIfAborted } from '../errors.js';
import { toOutputError } from '../files/output-error.js';
import { removeAtExit } from '../files/remove-at-exit.js';

/** Default limits of a download. */
export const downloadLimits = { maxBytes: 4 * 2 ** 30, timeoutSeconds: 900, idleSeconds: 30, redirects: 5 } as const;

export interface DownloadOptions {
  /** Default 4 GiB. */
  readonly maxBytes?: number;
  /** For the whole download; default 15 minutes. A server that is silent for 30 s is given up earlier. */
  readonly timeoutSeconds?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Download {
  /** The temporary file. */
  readonly path: string;
  /** The address for messages: without user name, password and query. */
  readonly name: string;
  remove(): Promise<void>;
}

const retry = 'Check the address, or download the video yourself and give the file.';

/**
 * Downloads a video into a temporary folder. Only http and https, at most 5 redirects. Throws BAD_ARGUMENT,
 * DOWNLOAD_FAILED, LIMIT_EXCEEDED (too large, too slow), DISK_FULL, ABORTED.
 */
export async function downloadVideo(address: string, options: DownloadOptions = {}): Promise<Download> {
  throwIfAborted(options.signal);
  const url = parseAddress(address);
  const name = plainName(url);
  const { maxBytes = downloadLimits.maxBytes, timeoutSeconds = downloadLimits.timeoutSeconds } = options;
  const stop = new AbortController();
  const onAbort = () => stop.abort(abortError(options.signal));
  options.signal?.addEventListener('abort', onAbort, { once: true });
  const slow = (what: string) => () =>
    stop.abort(new RvosError('LIMIT_EXCEEDED', `${name}: ${what}`, 'Download the video yourself and give the file.'));
  const total = setTimeout(slow(`the download took longer than ${timeoutSeconds} s`), timeoutSeconds * 1000);
  const idle = setTimeout(slow(`no answer for ${downloadLimits.idleSeconds} s`), downloadLimits.idleSeconds * 1000);

  const folder = await mkdtemp(join(tmpdir(), 'rvos-download-')).catch((error: unknown) => {
    throw toOutputError(error, tmpdir());
  });
  const forget = removeAtExit(folder);
  const remove = async () => {
    await rm(folder, { recursive: true, force: true });
    forget();
  };
  const path = join(folder, 'video');
  try {
    const response = await followRedirects(url, name, stop.signal);
    const tooLarge = () =>
      new RvosError(
        'LIMIT_EXCEEDED',
        `${name} is larger than ${maxBytes} bytes`,
        'Give a smaller video or a local file.',
      );
    if (Number(response.headers.get('content-length') ?? 0) > maxBytes) throw tooLarge();
    const file = await open(path, 'wx');
    try {
      let bytes = 0;
      for await (const chunk of response.body ?? []) {
        idle.refresh();
        bytes += chunk.byteLength;
        if (bytes > maxBytes) throw tooLarge();
        await file.writeFile(chunk);
      }
      if (bytes === 0) throw new RvosError('DOWNLOAD_FAILED', `${name} is empty`, retry);
    } finally {
      await file.close();
    }
    return { path, name, remove };
  } catch (error) {
    stop.abort();
    await remove();
    const reason: unknown = stop.signal.reason;
    if (error instanceof RvosError) throw error;
    if (reason instanceof RvosError) throw reason;
    const typed = toOutputError(error, path);
    if (typed instanceof RvosError) throw typed;
    throw new RvosError('DOWNLOAD_FAILED', `${name} cannot be downloaded: ${causeOf(error)}`, retry, { cause: error });
  } finally {
    clearTimeout(total);
    clearTimeout(idle);
    options.signal?.removeEventListener('abort', onAbort);
  }
}

/** Followed here rather than by `fetch`, so that each hop's scheme is checked and their number is ours. */
async function followRedirects(start: URL, name: string, signal: AbortSignal): Promise<Response> {
  let url = start;
  for (let hops = 0; hops <= downloadLimits.redirects; hops++) {
    const response = await fetch(url, { redirect: 'manual', signal, headers: credentials(url) });
    const location = response.headers.get('location');
    if (response.status >= 300 && response.status < 400 && location !== null) {
      await response.body?.cancel();
      url = parseAddress(location, url);
      continue;
    }
    if (!response.ok) {
      await response.body?.cancel();
      throw new RvosError('DOWNLOAD_FAILED', `${name}: the server answers ${response.status}`, retry);
    }
    return response;
  }
  throw new RvosError('DOWNLOAD_FAILED', `${name}: more than ${downloadLimits.redirects} redirects`, retry);
}

/** `fetch` refuses addresses with a password in them; it is sent as a header to that host only. */
function credentials(url: URL): Record<string, string> {
  if (url.username === '' && url.password === '') return {};
  const pair = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  url.username = '';
  url.password = '';
  return { authorization: `Basic ${Buffer.from(pair).toString('base64')}` };
}

function parseAddress(address: string, base?: URL): URL {
  if (!URL.canParse(address, base?.href)) {
    throw new RvosError('BAD_ARGUMENT', 'the address of the video is not a URL', 'Give http://… or https://…');
  }
  const url = new URL(address, base);
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    throw new RvosError(
      'BAD_ARGUMENT',
      `addresses of the kind ${url.protocol} are not read`,
      'Give http://… or https://…',
    );
  }
  return url;
}

function plainName(url: URL): string {
  return `${url.protocol}//${url.host}${url.pathname}`;
}

function causeOf(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return cause instanceof Error ? cause.message.split('\n')[0]! || cause.name : String(cause);
}
