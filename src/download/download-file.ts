import { open, rm } from 'node:fs/promises';
import { formatByteSize } from '../byte-size.js';
import { abortError, RvosError, throwIfAborted } from '../errors.js';
import type { DownloadPolicy } from './download-policy.js';
import { HttpClient, parseAddress, plainName, toDownloadError } from './http-client.js';

const retry = 'Check the address, or download the file yourself and give its path.';

/**
 * Downloads a URL in one go into the file `path`, which must not exist; it is removed if that fails. Returns the address
 * for messages, without user name, password and query. Throws BAD_ARGUMENT, ADDRESS_REFUSED, DOWNLOAD_FAILED,
 * LIMIT_EXCEEDED (too large, too slow), DISK_FULL, OUTPUT_NOT_WRITABLE, ABORTED.
 */
export async function downloadFile(
  address: string,
  path: string,
  policy: DownloadPolicy,
  outer?: AbortSignal,
): Promise<string> {
  throwIfAborted(outer);
  const name = plainName(parseAddress(address));
  const { maxBytes, timeoutSeconds, idleSeconds } = policy;
  const stop = new AbortController();
  const onAbort = () => stop.abort(abortError(outer));
  outer?.addEventListener('abort', onAbort, { once: true });
  const slow = (what: string) => () =>
    stop.abort(new RvosError('LIMIT_EXCEEDED', `${name}: ${what}`, 'Download it yourself and give the file.'));
  const total = Number.isFinite(timeoutSeconds)
    ? setTimeout(slow(`the download took longer than ${timeoutSeconds} s`), timeoutSeconds * 1000)
    : undefined;
  const idle = setTimeout(slow(`no answer for ${idleSeconds} s`), idleSeconds * 1000);
  const client = new HttpClient(policy);
  try {
    const response = await client.get(address, { signal: stop.signal });
    if (response.status !== 200) {
      throw new RvosError('DOWNLOAD_FAILED', `${name}: the server answers ${response.status}`, retry);
    }
    const tooLarge = () =>
      new RvosError(
        'LIMIT_EXCEEDED',
        `${name} is larger than ${formatByteSize(maxBytes)}`,
        'Give a smaller or a local file.',
      );
    if (Number(response.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
    const file = await open(path, 'wx');
    try {
      let bytes = 0;
      for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
        idle.refresh();
        bytes += chunk.byteLength;
        if (bytes > maxBytes) throw tooLarge();
        await file.writeFile(chunk);
      }
      if (bytes === 0) throw new RvosError('DOWNLOAD_FAILED', `${name} is empty`, retry);
    } finally {
      await file.close();
    }
    return name;
  } catch (error) {
    await rm(path, { force: true });
    throw toDownloadError(error, name, stop.signal);
  } finally {
    clearTimeout(total);
    clearTimeout(idle);
    outer?.removeEventListener('abort', onAbort);
    await client.close();
  }
}
