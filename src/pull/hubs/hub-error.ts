import type { HttpClient } from '../../download/http-client.js';
import { RvosError } from '../../errors.js';

const mostBytes = 8 * 2 ** 20;

/** A source that does not have what is asked for: another one may. */
export class NotThereError extends RvosError {}

/** Gets a small JSON document of a hub. Throws `RvosError` DOWNLOAD_FAILED with what the hub says. */
export async function getJson(
  client: HttpClient,
  address: string,
  what: string,
  signal?: AbortSignal,
): Promise<{ value: unknown; headers: Record<string, string | string[] | undefined> }> {
  const response = await client.get(address, { signal, headers: { accept: 'application/json' } });
  const text = await readText(response.body);
  if (response.status !== 200) throw refusal(response.status, what, text);
  try {
    return { value: JSON.parse(text), headers: response.headers };
  } catch (cause) {
    const hint = 'Look whether the endpoint is right, and whether a proxy or a login page is in between.';
    throw new RvosError('DOWNLOAD_FAILED', `${what}: the answer is no JSON`, hint, { cause });
  }
}

/** At most 8 MiB of a body as text. */
export async function readText(body: AsyncIterable<Uint8Array>, limit = mostBytes): Promise<string> {
  const pieces: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of body) {
    bytes += piece.length;
    if (bytes > limit) break;
    pieces.push(piece);
  }
  return Buffer.concat(pieces).toString('utf8');
}

/** The error for a status that is no success. */
export function refusal(status: number, what: string, text = ''): RvosError {
  const said = serverMessage(text);
  const message = `${what}: the server answers ${status}${said ? ` (${said})` : ''}`;
  if (status === 404) return new NotThereError('DOWNLOAD_FAILED', message, 'Check name and revision.');
  const hint =
    status === 401 || status === 403
      ? 'It needs a token, or one with more rights: set MODELSCOPE_API_TOKEN or HF_TOKEN.'
      : status === 429
        ? 'The server wants less requests: try again later; what is downloaded is kept.'
        : 'Try again later; what is downloaded is kept.';
  return new RvosError('DOWNLOAD_FAILED', message, hint);
}

/** The message of a JSON error, in one line. */
export function serverMessage(text: string): string | undefined {
  try {
    const value = JSON.parse(text) as { Message?: unknown; error?: unknown; message?: unknown };
    const message = value.Message ?? value.error ?? value.message;
    return typeof message === 'string' && message ? message.replace(/\s+/g, ' ').slice(0, 200) : undefined;
  } catch {
    return undefined;
  }
}
