import { z } from 'zod';
import type { HttpClient } from '../../download/http-client.js';
import type { RemoteFile } from '../../download/remote-file.js';
import { RvosError } from '../../errors.js';
import { getJson } from './hub-error.js';

const listing = z.array(
  z.object({
    type: z.string(),
    path: z.string(),
    size: z.number().int().nonnegative().optional(),
    oid: z.string().optional(),
    lfs: z.object({ oid: z.string().optional(), size: z.number().optional() }).nullish(),
  }),
);
const mostPages = 100;

export interface HuggingFaceRepository {
  readonly kind: 'hf' | 'hf-space';
  readonly id: string;
  readonly revision?: string | undefined;
}

/** The address of one file. */
export function huggingFaceFile(
  endpoint: string,
  { kind, id, revision = 'main' }: HuggingFaceRepository,
  path: string,
): string {
  const room = kind === 'hf-space' ? 'spaces/' : '';
  const name = path.split('/').map(encodeURIComponent).join('/');
  return `${endpoint}/${room}${id}/resolve/${encodeURIComponent(revision)}/${name}`;
}

/** The files of a repository on Hugging Face. Throws `NotThereError`, `RvosError` DOWNLOAD_FAILED. */
export async function listHuggingFace(
  client: HttpClient,
  endpoint: string,
  repository: HuggingFaceRepository,
  signal?: AbortSignal,
): Promise<RemoteFile[]> {
  const { kind, id, revision = 'main' } = repository;
  const what = `${kind}:${id}`;
  const room = kind === 'hf-space' ? 'spaces' : 'models';
  let address: string | undefined = `${endpoint}/api/${room}/${id}/tree/${encodeURIComponent(revision)}?recursive=true`;
  const files: RemoteFile[] = [];
  for (let page = 0; address !== undefined && page < mostPages; page++) {
    const { value, headers } = await getJson(client, address, what, signal);
    const parsed = listing.safeParse(value);
    if (!parsed.success) {
      throw new RvosError('DOWNLOAD_FAILED', `${what}: the list of files has an unknown form`, 'Check --endpoint.');
    }
    for (const { type, path, size, oid, lfs } of parsed.data) {
      if (type !== 'file') continue;
      const sha256 = lfs?.oid?.replace(/^sha256:/, '');
      files.push({
        path,
        address: () => huggingFaceFile(endpoint, repository, path),
        bytes: lfs?.size ?? size,
        sha256: sha256 && /^[0-9a-f]{64}$/.test(sha256) ? sha256 : undefined,
        gitBlob: !lfs && oid && /^[0-9a-f]{40}$/.test(oid) ? oid : undefined,
      });
    }
    const next: string | undefined = /<([^>]+)>\s*;\s*rel="?next"?/.exec(String(headers.link ?? ''))?.[1];
    // The hub names its own host there, which a mirror is not.
    address = next && endpoint + next.replace(/^https?:\/\/[^/]+/, '');
  }
  return files;
}
