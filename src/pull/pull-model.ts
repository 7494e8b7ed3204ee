import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, statfs, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { z } from 'zod';
import { formatByteSize } from '../byte-size.js';
import { cacheRoom } from '../cache/cache-folder.js';
import type { DownloadPolicy } from '../download/download-policy.js';
import { HttpClient } from '../download/http-client.js';
import type { RemoteFile } from '../download/remote-file.js';
import { downloadResumable, type TransferOptions } from '../download/resumable-download.js';
import { doneBytes, readTransferState } from '../download/transfer-state.js';
import { RvosError, throwIfAborted } from '../errors.js';
import { AtomicFolder, writeFileAtomic } from '../files/atomic-output.js';
import { makeFolder } from '../files/make-folder.js';
import { toOutputError } from '../files/output-error.js';
import { locateSource } from '../model/checkpoint/source.js';
import { importModel, isModelFile } from '../model/import.js';
import { isModelHere } from '../model/model-folder.js';
import { endpoints } from './hubs/endpoints.js';
import { knownModel } from './known-models.js';
import { parseSource, sourceFolder, sourceText } from './model-source.js';
import { withPullLock } from './pull-lock.js';
import { type PullPlan, planPull, tokenizer } from './pull-plan.js';
import { findPulledModel, notPulled, type PullRecord, pullRecordFile } from './pulled-models.js';
import { smokeRun } from './smoke-run.js';

/** What a pull is at. Bytes are those of all files together. */
export interface PullProgress {
  readonly phase: 'waiting' | 'listing' | 'downloading' | 'verifying' | 'importing' | 'trying';
  readonly bytes: number;
  /** Null while the source has not said. */
  readonly totalBytes: number | null;
  /** The file under way, or why something is tried again. */
  readonly file?: string;
  readonly retry?: string;
}

export interface PullOptions {
  /** A known name, `modelscope:owner/name[@revision]`, `hf:…[:path]`, `hf-space:…`, `drive:id`, a URL, or a path. */
  readonly model: string;
  /** A mirror that stands for all hubs. */
  readonly endpoint?: string | undefined;
  /** Folder to make; default one in the cache's `models/`, where `model` finds it by name. */
  readonly out?: string | undefined;
  readonly cacheFolder?: string | undefined;
  /** Fetch and import again what is there already, and accept a file that has changed since it was first seen. */
  readonly force?: boolean | undefined;
  readonly onPullProgress?: ((progress: PullProgress) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
  /** For tests and unusual networks. */
  readonly transfer?: TransferOptions | undefined;
  readonly policy?: Partial<DownloadPolicy> | undefined;
}

export interface PullResult {
  readonly name: string;
  readonly path: string;
  /** What to pass as `model`: the name, or the folder that was asked for. */
  readonly model: string;
  readonly source: string;
  readonly licence: string;
  /** It was there already. */
  readonly found: boolean;
  readonly warnings: readonly string[];
}

/** No model is larger; nobody waits for one that is endless. */
const mostBytes = 64e9;
const policy: DownloadPolicy = {
  // It goes where its user says, mirrors in private networks included.
  addresses: 'any',
  proxies: true,
  maxBytes: mostBytes,
  timeoutSeconds: Number.POSITIVE_INFINITY,
  idleSeconds: 60,
  redirects: 10,
};

/**
 * Downloads a model, verifies it, imports it and tries it on a few frames of the shipped clip; it appears under its name
 * when all that went well. An interrupted pull goes on where it was; two at once share one download. Throws any `RvosError`.
 */
export async function pullModel(options: PullOptions): Promise<PullResult> {
  const { model, out, cacheFolder, force = false, signal } = options;
  throwIfAborted(signal);
  const known = knownModel(model);
  const sources = known?.sources ?? [parseSource(model)].filter((source) => source !== undefined);
  const [first] = sources;
  if (!first) throw notPulled(model);
  const name = known?.name ?? sourceFolder(first);
  const target = out ? resolve(out) : join(cacheRoom('models', cacheFolder), name);
  const result = { name, path: target, model: out ?? name, licence: known?.licence ?? 'not stated' };
  const there = async () => !force && !out && (await findPulledModel(name, cacheFolder)) !== undefined;
  const found = () => ({ ...result, source: sourceText(first), found: true, warnings: [] });
  if (await there()) return found();

  const key = createHash('sha256').update(sources.map(sourceText).join('\n')).digest('hex').slice(0, 16);
  const folder = join(cacheRoom('models', cacheFolder), '.downloads', key);
  await makeFolder(dirname(folder));
  let bytes = 0;
  const tell = (progress: Partial<PullProgress> & Pick<PullProgress, 'phase'>) =>
    options.onPullProgress?.({ bytes, totalBytes: null, ...progress });
  const work = async (): Promise<PullResult> => {
    if (await there()) return found();
    await makeFolder(folder);
    const warnings: string[] = [];
    const hubs = endpoints(options.endpoint);
    await using client = new HttpClient({ ...policy, headers: hubs.headers, ...options.policy });
    tell({ phase: 'listing' });
    const plan = await planPull(client, hubs, sources, signal);
    const files = [...plan.files];
    if (plan.source.kind === 'path' && !(await locateSource(plan.source.path)).tokenizer) files.push(tokenizer(hubs));
    bytes = await checkSpace(folder, files);
    /** Of each file, as far as it is known by now. */
    const sizes = files.map((file) => file.bytes);
    const totalBytes = () => (sizes.includes(undefined) ? null : sizes.reduce<number>((sum, size) => sum + size!, 0));
    const records: PullRecord['files'][number][] = [];
    let before = 0;
    for (const [i, file] of files.entries()) {
      const path = join(folder, 'files', file.path);
      await mkdir(dirname(path), { recursive: true });
      let size = 0;
      const sha256 = await downloadResumable(client, file, path, {
        ...options.transfer,
        signal,
        onBytes(done, all) {
          size = done;
          bytes = before + done;
          sizes[i] ??= all;
          tell({ phase: 'downloading', file: file.path, totalBytes: totalBytes() });
        },
        onVerify: () => tell({ phase: 'verifying', file: file.path, totalBytes: totalBytes() }),
        onRetry: (reason, seconds) =>
          tell({
            phase: 'downloading',
            file: file.path,
            totalBytes: totalBytes(),
            retry: `${reason}; trying again${seconds >= 1 ? ` in ${Math.round(seconds)} s` : ''}`,
          }),
      });
      if (!file.sha256) await checkFirstSeen(dirname(folder), `${sourceText(plan.source)} ${file.path}`, sha256, force);
      before += file.bytes ?? size;
      records.push({ path: file.path, bytes: file.bytes ?? size, sha256 });
    }
    await finish(plan, folder, target, { ...options, name, licence: result.licence, records, warnings, tell });
    await rm(folder, { recursive: true, force: true });
    return { ...result, source: sourceText(plan.source), found: false, warnings };
  };
  let told = false;
  const onWait = () => {
    if (!told) tell({ phase: 'waiting' });
    told = true;
  };
  return withPullLock(dirname(folder), key, work, { onWait, signal });
}

/** The folder of a model for `Segmenter.open`: what is there by that path or name, else what a pull makes of it. */
export async function pulledFolder(options: PullOptions): Promise<string> {
  if (await isModelHere(options.model, options.cacheFolder)) return options.model;
  return (await pullModel(options)).path;
}

/** Imports, tries, and only then gives the folder its name. */
async function finish(
  plan: PullPlan,
  folder: string,
  target: string,
  context: PullOptions & {
    readonly name: string;
    readonly licence: string;
    readonly records: PullRecord['files'];
    readonly warnings: string[];
    readonly tell: (progress: Pick<PullProgress, 'phase'>) => void;
  },
): Promise<void> {
  const { name, licence, records, warnings, tell, force = false, signal } = context;
  const files = join(folder, 'files');
  const local = plan.source.kind === 'path';
  tell({ phase: 'importing' });
  const owned = (entry: string) => isModelFile(entry) || entry === pullRecordFile;
  await makeFolder(dirname(target));
  await using output = await AtomicFolder.create(target, { force, owned });
  const imported = await importModel({
    source: local ? plan.checkpoint : join(files, plan.checkpoint),
    // A local checkpoint has its tokenizer beside it, or got one here.
    tokenizer: local && records.length > 0 ? files : undefined,
    out: output.temporaryPath,
    name,
    licence,
    signal,
  });
  warnings.push(...imported.warnings);
  tell({ phase: 'trying' });
  const untried = await smokeRun(output.temporaryPath, signal);
  if (untried) warnings.push(`it was not tried: ${untried}`);
  const record: PullRecord = {
    source: sourceText(plan.source),
    licence,
    pulled: new Date().toISOString(),
    files: records,
  };
  await writeFile(join(output.temporaryPath, pullRecordFile), `${JSON.stringify(record, null, 2)}\n`);
  await output.finish();
}

/** Throws DISK_FULL unless there is room for what is still to come and for the imported weights; resolves with the bytes there are. */
async function checkSpace(folder: string, files: readonly RemoteFile[]): Promise<number> {
  let stored = 0;
  for (const { path } of files) {
    const state = await readTransferState(join(folder, 'files', `${path}.state`));
    if (state) stored += doneBytes(state);
  }
  const known = files.reduce((sum, { bytes = 0 }) => sum + bytes, 0);
  const { bavail, bsize } = await statfs(folder);
  const needed = Math.max(known - stored, 0) + known;
  if (bavail * bsize < needed) {
    const message = `the model needs ${formatByteSize(needed)} in ${dirname(dirname(folder))}, where ${formatByteSize(bavail * bsize)} are free`;
    throw new RvosError('DISK_FULL', message, 'Free some space, or set RVOS_HOME to a folder on another disk.');
  }
  return stored;
}

/** Where a source publishes no hash, the first one seen is kept: a file that is another one later is told. */
async function checkFirstSeen(folder: string, key: string, sha256: string, force: boolean): Promise<void> {
  const path = join(folder, 'first-seen.json');
  let seen: Record<string, string> = {};
  try {
    seen = z.record(z.string(), z.string()).parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    // The first of all.
  }
  if (seen[key] === sha256) return;
  if (seen[key] !== undefined && !force) {
    const message = `${key} is another file than when it was first pulled: SHA-256 ${sha256}, then ${seen[key]}`;
    throw new RvosError('DOWNLOAD_FAILED', message, 'If the change is known and meant, pass --force.');
  }
  try {
    await writeFileAtomic(path, JSON.stringify({ ...seen, [key]: sha256 }, null, 2), { force: true });
  } catch (error) {
    throw toOutputError(error, path);
  }
}
