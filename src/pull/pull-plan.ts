import { basename, extname } from 'node:path';
import type { HttpClient } from '../download/http-client.js';
import type { RemoteFile } from '../download/remote-file.js';
import { RvosError } from '../errors.js';
import type { Endpoints } from './hubs/endpoints.js';
import { driveFile } from './hubs/google-drive.js';
import { NotThereError, refusal } from './hubs/hub-error.js';
import { type HuggingFaceRepository, huggingFaceFile, listHuggingFace } from './hubs/hugging-face.js';
import { listModelscope } from './hubs/modelscope.js';
import { type ModelSource, type PinnedFile, robertaTokenizer } from './known-models.js';
import { sourceText } from './model-source.js';

/** What is to be downloaded, and what of it `import` gets. */
export interface PullPlan {
  readonly source: ModelSource;
  readonly files: readonly RemoteFile[];
  /** The checkpoint among the files, or '' for the folder of all of them, as ModelScope's. */
  readonly checkpoint: string;
}

const tokenizerFiles = ['tokenizer.json', 'vocab.json', 'merges.txt'];
const weightEndings = ['.pth.tar', '.pth', '.pt', '.bin', '.safetensors', '.ckpt'];
/** Larger files beside the checkpoint are other weights, such as RoBERTa's own. */
const mostSideBytes = 50e6;

/** Asks the source what there is. Tries the next source where one does not have the model. */
export async function planPull(
  client: HttpClient,
  hubs: Endpoints,
  sources: readonly ModelSource[],
  signal?: AbortSignal,
): Promise<PullPlan> {
  let failure: unknown;
  for (const source of sources) {
    try {
      return await planSource(client, hubs, source, signal);
    } catch (error) {
      if (!(error instanceof NotThereError)) throw error;
      failure ??= error;
    }
  }
  throw failure;
}

async function planSource(
  client: HttpClient,
  hubs: Endpoints,
  source: ModelSource,
  signal?: AbortSignal,
): Promise<PullPlan> {
  switch (source.kind) {
    case 'modelscope': {
      const files = (await listModelscope(client, hubs.modelscope, source, signal)).filter(isWantedOfModelscope);
      if (!files.some(({ path }) => isWeights(path))) throw noWeights(source, []);
      return { source, files: files.map(checkedPath), checkpoint: '' };
    }
    case 'hf':
    case 'hf-space': {
      if (source.pinned) {
        const weights = await probed(client, pinnedFile(hubs, source, source.pinned), signal);
        return { source, files: [weights, tokenizer(hubs)], checkpoint: weights.path };
      }
      const files = await listHuggingFace(client, hubs.huggingFace, source, signal);
      const weights = chooseWeights(files, source);
      const folder = weights.path.slice(0, -basename(weights.path).length);
      const beside = files.filter(({ path }) => tokenizerFiles.some((name) => path === folder + name));
      const complete = beside.some(({ path }) => path.endsWith('tokenizer.json')) || beside.length === 2;
      return {
        source,
        files: [weights, ...(complete ? beside : [{ ...tokenizer(hubs), path: `${folder}tokenizer.json` }])].map(
          checkedPath,
        ),
        checkpoint: weights.path,
      };
    }
    case 'drive': {
      const weights = await driveFile(client, hubs.drive, source, signal);
      return { source, files: [weights, tokenizer(hubs)], checkpoint: weights.path };
    }
    case 'url': {
      const name = basename(decodeURIComponent(new URL(source.url).pathname)).replace(/[^\w.-]/g, '_') || 'checkpoint';
      const weights = checkedPath({ path: name, address: () => source.url });
      return { source, files: [weights, tokenizer(hubs)], checkpoint: weights.path };
    }
    case 'path':
      return { source, files: [], checkpoint: source.path };
  }
}

/** RoBERTa's tokenizer, for checkpoints without one. */
export function tokenizer(hubs: Endpoints): RemoteFile {
  return pinnedFile(hubs, robertaTokenizer as HuggingFaceRepository, robertaTokenizer.pinned);
}

function pinnedFile(
  hubs: Endpoints,
  repository: HuggingFaceRepository,
  { path, bytes, sha256 }: PinnedFile,
): RemoteFile {
  return { path, bytes, sha256, address: () => huggingFaceFile(hubs.huggingFace, repository, path) };
}

/** Asks for the first byte: whether the file is there at all, before another source is passed over; and its size. */
async function probed(client: HttpClient, file: RemoteFile, signal?: AbortSignal): Promise<RemoteFile> {
  const response = await client.get(await file.address(), { signal, headers: { range: 'bytes=0-0' } });
  response.body.on('error', () => undefined).destroy();
  if (response.status >= 400) throw refusal(response.status, file.path);
  const linked = response.hops.map(({ headers }) => headers['x-linked-size']).find((size) => size !== undefined);
  const bytes = Number(linked ?? /\/(\d+)$/.exec(String(response.headers['content-range'] ?? ''))?.[1]);
  return { ...file, bytes: file.bytes ?? (Number.isSafeInteger(bytes) ? bytes : undefined) };
}

/** What the published pipeline reads: configuration, weights, and the text encoder's configuration and tokenizer. */
function isWantedOfModelscope({ path, bytes = 0 }: RemoteFile): boolean {
  if (['configuration.json', ...tokenizerFiles].includes(path)) return true;
  if (path.includes('/'))
    return path.startsWith('transformer_cfg_dir/') && !isWeights(path) && bytes < mostSideBytes && isText(path);
  return ['pytorch_model.pt', 'pytorch_model.bin', 'model.safetensors'].includes(path);
}

function isText(path: string): boolean {
  return ['.json', '.txt'].includes(extname(path));
}

function isWeights(path: string): boolean {
  return weightEndings.some((ending) => path.endsWith(ending));
}

function chooseWeights(
  files: readonly RemoteFile[],
  source: ModelSource & { readonly path?: string | undefined },
): RemoteFile {
  const candidates = source.path
    ? files.filter(({ path }) => path === source.path)
    : files.filter(({ path }) => isWeights(path));
  if (candidates.length === 1) return candidates[0]!;
  throw noWeights(source, candidates.length > 1 ? candidates : files.filter(({ path }) => isWeights(path)));
}

function noWeights(source: ModelSource, candidates: readonly RemoteFile[]): RvosError {
  const text = sourceText(source);
  if (candidates.length === 0)
    return new RvosError('DOWNLOAD_FAILED', `${text} holds no checkpoint`, 'Check the name.');
  const names = candidates.slice(0, 8).map(({ path }) => path);
  const form = 'path' in source && source.path ? text.replace(/:[^:]*$/, '') : text;
  return new RvosError(
    'BAD_ARGUMENT',
    `${text} does not say which checkpoint is meant`,
    `Choose one: ${names.map((name) => `${form}:${name}`).join(', ')}`,
  );
}

/** Paths come from outside: they must stay inside the folder. */
function checkedPath(file: RemoteFile): RemoteFile {
  const parts = file.path.split('/');
  if (parts.every((part) => /^[^\\\0]{1,200}$/.test(part) && part !== '.' && part !== '..' && !/^[a-z]:/i.test(part)))
    return file;
  throw new RvosError(
    'DOWNLOAD_FAILED',
    `the source names a file ${JSON.stringify(file.path.slice(0, 100))}`,
    'It is not to be trusted.',
  );
}
