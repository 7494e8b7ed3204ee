import type { AddressInfo } from 'node:net';
import type { FastifyInstance } from 'fastify';
import { RvosError } from '../errors.js';
import type { AcceptedJobs } from './accepted-jobs.js';
import { lockData } from './data-lock.js';
import { ApiKeys } from './http/api-keys.js';
import { makeApp } from './http/app.js';
import { ServerMetrics } from './http/metrics.js';
import { pageRoutes } from './http/page-routes.js';
import { Problem } from './http/problem.js';
import { segmentationRoutes } from './http/routes.js';
import { serviceRoutes } from './http/service-routes.js';
import { JobFolders } from './job-folders.js';
import type { JobStore } from './job-store.js';
import { Jobs, type JobsOptions } from './jobs.js';
import { defaultLimits, type ServerLimits } from './limits.js';
import { LmdbJobStore } from './lmdb-job-store.js';
import { RemoteJobs } from './redis/remote-jobs.js';
import type { SegmentationService } from './segmentation-service.js';
import { type UrlSettings, urlPolicy } from './url-policy.js';

export interface ServerOptions extends Partial<ServerLimits>, UrlSettings {
  /** Runs the jobs; the caller disposes it after the server. */
  readonly service: SegmentationService;
  /** Folder of jobs, uploads and results; default `rvos-data`. */
  readonly data?: string;
  /** Where jobs are kept; default LMDB in `data`. */
  readonly store?: JobStore;
  /** Address of Redis, where workers (`JobWorker`) find the jobs; `data` is the folder that they share. Default: jobs run in `service`. */
  readonly redis?: string | undefined;
  /** Who may use it; default anybody. */
  readonly apiKeys?: readonly string[] | undefined;
  /** Whether, or where, requests are logged as JSON lines, without contents; default not. */
  readonly log?: boolean | { write(line: string): void };
}

/** The HTTP face of a service. */
export class SegmentationServer implements AsyncDisposable {
  #stopping = false;
  #closed: Promise<void> | undefined;

  /** @internal Use `createServer`. */
  constructor(
    readonly app: FastifyInstance,
    readonly jobs: AcceptedJobs,
    private readonly release: () => Promise<void>,
  ) {}

  /** Starts to listen; resolves with the address. Port 0 takes a free one. Throws `RvosError` CANNOT_LISTEN. */
  async listen({ host = '127.0.0.1', port = 8080 } = {}): Promise<string> {
    try {
      await this.app.listen({ host, port });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new RvosError(
        'CANNOT_LISTEN',
        `cannot listen at ${host}:${port} (${code ?? (error as Error).message})`,
        'Choose another --host or --port.',
        { cause: error },
      );
    }
    const address = this.app.server.address() as AddressInfo;
    return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  get stopping(): boolean {
    return this.#stopping;
  }

  /**
   * Takes no more jobs (ready turns 503), gives those that run `graceSeconds` (default 20) to end, and closes. Jobs that have
   * not ended stay accepted and are taken up by the next server on the same data.
   */
  close(graceSeconds = 20): Promise<void> {
    this.#stopping = true;
    this.#closed ??= this.#close(graceSeconds);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  async #close(graceSeconds: number): Promise<void> {
    await this.jobs.close(graceSeconds);
    this.app.server.closeIdleConnections();
    const end = setTimeout(() => this.app.server.closeAllConnections(), 2000);
    await this.app.close();
    clearTimeout(end);
    await this.release();
  }
}

/**
 * A server around a service, its unfinished jobs of last time taken up again. Throws `RvosError` BAD_STORE,
 * OUTPUT_NOT_WRITABLE, DISK_FULL.
 */
export async function createServer(options: ServerOptions): Promise<SegmentationServer> {
  const { service, data = 'rvos-data', apiKeys, log = false } = options;
  const limits: ServerLimits = { ...defaultLimits, ...definedOnly(options) };
  const urls = urlPolicy(options, limits);
  const folders = await JobFolders.make(data);
  if (options.redis !== undefined) {
    const open: OpenJobs = (told) => RemoteJobs.open(options.redis!, { service, folders, limits, ...told });
    return serverAround({ service, open, folders, limits, urls, apiKeys, log }, async () => undefined);
  }
  const lock = await lockData(data);
  let store: JobStore | undefined;
  try {
    store = options.store ?? (await LmdbJobStore.open(folders.store));
    const context = { service, store, folders, limits, urls };
    const open: OpenJobs = async (told) => new Jobs({ ...context, ...told });
    return await serverAround({ service, open, folders, limits, urls, apiKeys, log }, lock.release);
  } catch (error) {
    await store?.close();
    await lock.release();
    throw error;
  }
}

type OpenJobs = (told: Pick<JobsOptions, 'onStart' | 'onEnd' | 'onEncode' | 'onStoreError'>) => Promise<AcceptedJobs>;

interface Parts extends Required<Pick<ServerOptions, 'service' | 'log'>> {
  readonly open: OpenJobs;
  readonly folders: JobFolders;
  readonly limits: ServerLimits;
  readonly urls: ReturnType<typeof urlPolicy>;
  readonly apiKeys: readonly string[] | undefined;
}

async function serverAround(parts: Parts, release: () => Promise<void>): Promise<SegmentationServer> {
  const { service, open, folders, limits, urls, apiKeys, log } = parts;
  const metrics = new ServerMetrics();
  const app = await makeApp({ limits, metrics, log, hasKeys: apiKeys !== undefined });
  const jobs = await open({
    onStart: (job) => metrics.jobStarted(job),
    onEnd: (job) => metrics.jobEnded(job),
    onEncode: (seconds) => metrics.encoded(seconds),
    onStoreError: (error) => {
      metrics.storeFailed();
      app.log.error({ err: (error as Error).message }, 'the end of a job could not be written');
    },
  });
  const { store } = jobs.options;
  metrics.watch(jobs, service);
  const server = new SegmentationServer(app, jobs, async () => {
    metrics.end();
    await store.close();
    await release();
  });
  const keys = new ApiKeys(apiKeys);
  const hasDisk = async () => (await folders.freeBytes()) >= limits.minFreeDisk;
  const unready = async (): Promise<string[]> => {
    const reasons: string[] = [];
    if (server.stopping) reasons.push('the server is shutting down');
    if (!(await hasDisk())) reasons.push('the disk of results is full');
    await store.checkWritable().catch(() => reasons.push('the job store cannot be written'));
    return reasons;
  };
  const checkRoom = async () => {
    if (server.stopping) throw new Problem(503, 'SHUTTING_DOWN', 'the server is shutting down', 10);
    if (!(await hasDisk())) throw new Problem(503, 'DISK_FULL', 'the disk of results is full', 60);
    if (jobs.full) throw new Problem(503, 'QUEUE_FULL', `${limits.maxQueue} jobs wait already`, 10);
  };
  await app.register(segmentationRoutes, { jobs, folders, limits, keys, urls, checkRoom });
  await app.register(pageRoutes);
  await app.register(serviceRoutes, { service, limits, keys, metrics, unready });
  await jobs.recover();
  return server;
}

function definedOnly(options: ServerOptions): Partial<ServerLimits> {
  const names = Object.keys(defaultLimits) as (keyof ServerLimits)[];
  return Object.fromEntries(names.filter((name) => options[name] !== undefined).map((name) => [name, options[name]]));
}
