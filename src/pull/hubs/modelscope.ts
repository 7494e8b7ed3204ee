import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import type { HttpClient } from '../../download/http-client.js';
import type { RemoteFile } from '../../download/remote-file.js';
import { RvosError } from '../../errors.js';
import { getJson, NotThereError } from './hub-error.js';

const listedFile = z.object({
  Path: z.string(),
  Size: z.number().int().nonnegative().optional().catch(undefined),
  Sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/i)
    .optional()
    .catch(undefined),
  Type: z.string().optional(),
});
const listing = z.object({
  Code: z.number().optional(),
  Message: z.string().nullish(),
  Data: z.union([z.object({ Files: z.array(listedFile) }), z.array(listedFile)]).nullish(),
});

/** The files of a model on ModelScope. Throws `NotThereError`, `RvosError` DOWNLOAD_FAILED. */
export async function listModelscope(
  client: HttpClient,
  endpoint: string,
  { id, revision = 'master' }: { readonly id: string; readonly revision?: string | undefined },
  signal?: AbortSignal,
): Promise<RemoteFile[]> {
  const what = `modelscope:${id}`;
  const base = `${endpoint}/api/v1/models/${id}/repo`;
  const query = new URLSearchParams({ Revision: revision, Recursive: 'True' });
  const { value } = await getJson(client, `${base}/files?${query}`, what, signal);
  const parsed = listing.safeParse(value);
  if (!parsed.success) {
    throw new RvosError('DOWNLOAD_FAILED', `${what}: the list of files has an unknown form`, 'Check --endpoint.');
  }
  const { Code = 200, Message, Data } = parsed.data;
  if (Code !== 200 || !Data) {
    const message = `${what}: ${(Message || `code ${Code}`).replace(/\s+/g, ' ').slice(0, 200)}`;
    // ModelScope answers with status 200 and such a code, too, where there is no such model.
    throw new NotThereError('DOWNLOAD_FAILED', message, 'Check name and revision.');
  }
  const snapshot = randomUUID();
  const headers = { 'snapshot-identifier': snapshot, 'x-request-id': randomUUID() };
  return (Array.isArray(Data) ? Data : Data.Files)
    .filter(({ Type }) => Type !== 'tree')
    .map(({ Path, Size, Sha256 }) => ({
      path: Path,
      address: () => `${base}?${new URLSearchParams({ Revision: revision, FilePath: Path })}`,
      headers,
      bytes: Size,
      sha256: Sha256?.toLowerCase(),
    }));
}
