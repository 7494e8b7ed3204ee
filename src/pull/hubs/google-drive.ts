import type { HttpClient, HttpResponse } from '../../download/http-client.js';
import type { RemoteFile } from '../../download/remote-file.js';
import { RvosError } from '../../errors.js';
import type { Endpoints } from './endpoints.js';
import { NotThereError, readText, refusal } from './hub-error.js';

/**
 * A file of Google Drive. Large ones are answered with a page whose form holds the real address, small ones at once; a
 * page with `uc-error-subcaption` is a refusal, with status 200.
 */
export async function driveFile(
  client: HttpClient,
  drive: Endpoints['drive'],
  { id, fileName }: { readonly id: string; readonly fileName?: string | undefined },
  signal?: AbortSignal,
): Promise<RemoteFile> {
  let failure: unknown;
  for (const { download, page } of drive) {
    try {
      const resolve = () => resolveAddress(client, download, page, id, signal);
      const { address, cookie } = await resolve();
      let first: string | undefined = address;
      return {
        path: fileName ?? `${id}.pth.tar`,
        // The address found first serves once; later requests go the whole way again.
        address: async () => {
          const known = first;
          first = undefined;
          return known ?? (await resolve()).address;
        },
        headers: cookie ? { cookie } : undefined,
      };
    } catch (error) {
      if (!(error instanceof NotThereError)) throw error;
      failure = error;
    }
  }
  throw failure;
}

async function resolveAddress(
  client: HttpClient,
  download: string,
  page: string,
  id: string,
  signal?: AbortSignal,
): Promise<{ address: string; cookie: string | undefined }> {
  const what = `drive:${id}`;
  const address = `${download}?${new URLSearchParams({ id, export: 'download', confirm: 't' })}`;
  const response = await client.get(address, { signal, headers: { range: 'bytes=0-0' } });
  const cookie = cookies(response);
  const html = String(response.headers['content-type'] ?? '').startsWith('text/html');
  if (response.status < 300 && (!html || response.headers['content-disposition'] !== undefined)) {
    response.body.on('error', () => undefined).destroy();
    return { address, cookie };
  }
  const text = await readText(response.body);
  const said = /<p class="uc-error-subcaption">(.*?)<\/p>/s.exec(text)?.[1];
  if (said !== undefined) {
    const reason = plainText(said);
    const hint = 'Try again in a day, or download the file in a browser and give its path: rvos pull FILE.';
    throw new RvosError('DOWNLOAD_FAILED', `${what}: Google Drive refuses: ${reason}`, hint);
  }
  if (response.status >= 400) throw refusal(response.status, what);
  const real = addressInPage(text, page);
  if (real === undefined) {
    const hint = 'Download it in a browser and give its path: rvos pull FILE.';
    throw new NotThereError('DOWNLOAD_FAILED', `${what}: Google Drive answers with a page instead of the file`, hint);
  }
  return { address: real, cookie };
}

/** The form of today's page, else the links of older ones. */
function addressInPage(text: string, page: string): string | undefined {
  const form = /<form[^>]*id="download-form"[^>]*>(.*?)<\/form>/s.exec(text);
  if (form) {
    const action = /action="([^"]*)"/.exec(form[0])?.[1];
    const url = new URL(plainText(action ?? '/download'), page);
    for (const [input] of form[1]!.matchAll(/<input[^>]*type="hidden"[^>]*>/g)) {
      const name = /name="([^"]*)"/.exec(input)?.[1];
      if (name) url.searchParams.set(plainText(name), plainText(/value="([^"]*)"/.exec(input)?.[1] ?? ''));
    }
    return url.href;
  }
  const link = /href="(\/uc\?export=download[^"]+)"/.exec(text)?.[1];
  if (link) return new URL(plainText(link), page).href;
  const json = /"downloadUrl":"([^"]+)"/.exec(text)?.[1];
  return json && new URL(json.replaceAll('\\u003d', '=').replaceAll('\\u0026', '&'), page).href;
}

function cookies({ headers, hops }: HttpResponse): string | undefined {
  const all = [...hops.map((hop) => hop.headers), headers].flatMap((one) => one['set-cookie'] ?? []);
  return all.map((cookie) => cookie.split(';')[0]).join('; ') || undefined;
}

function plainText(html: string): string {
  return html
    .replace(/<[^>]*>/g, '')
    .replaceAll('&amp;', '&')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replace(/\s+/g, ' ')
    .trim();
}
