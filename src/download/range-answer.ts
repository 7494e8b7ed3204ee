import { RvosError } from '../errors.js';
import type { HttpResponse } from './http-client.js';

/** What part of a file an answer holds. */
export interface RangeAnswer {
  readonly start: number;
  /** Bytes of the whole file; undefined where nobody says. */
  readonly total: number | undefined;
  /** The server's name for this version of the file; empty if it has none. */
  readonly version: string;
}

/**
 * Reads it off the headers. `Content-Range` is believed whatever the status: some stores answer a range with 200. Without
 * it, 200 is the whole file from its beginning, however the request asked.
 */
export function rangeOf(response: HttpResponse, name: string): RangeAnswer {
  const { headers, status } = response;
  const version = versionOf(response);
  const range = headers['content-range'];
  if (range !== undefined) {
    const [, first, last, total] = /^bytes (\d+)-(\d+)\/(\d+|\*)$/.exec(String(range)) ?? [];
    if (first === undefined || Number(last) < Number(first)) throw broken(name, `Content-Range ${String(range)}`);
    return { start: Number(first), total: total === '*' ? undefined : Number(total), version };
  }
  if (status === 206) throw broken(name, 'status 206 without Content-Range');
  const length = headers['content-length'];
  return { start: 0, total: length === undefined ? undefined : Number(length), version };
}

/**
 * The hub's own answer comes first: a store behind it may name the same file otherwise from host to host, and its
 * signed address differs each time.
 */
function versionOf({ headers, hops }: HttpResponse): string {
  for (const answer of [...hops.map((hop) => hop.headers), headers]) {
    const linked = answer['x-linked-etag'];
    if (linked !== undefined) return String(linked);
  }
  return String(headers.etag ?? headers['last-modified'] ?? '').replace(/^W\//, '');
}

function broken(name: string, what: string): RvosError {
  return new RvosError('DOWNLOAD_FAILED', `${name}: the server answers with ${what}`, 'Try again, or another source.');
}
