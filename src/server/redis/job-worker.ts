import { rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { Job as QueuedJob, Worker } from 'bullmq';
import { RvosError } from '../../errors.js';
import { endStates, type Job } from '../job.js';
import { JobFolders } from '../job-folders.js';
import type { JobStore } from '../job-store.js';
import { defaultLimits, type ServerLimits } from '../limits.js';
import { LiveJob } from '../live-job.js';
import { committedResult, runIntoPlace } from '../run-into-place.js';
import { publicMessage, type RunContext } from '../run-job.js';
import type { SegmentationService } from '../segmentation-service.js';
import { type UrlSettings, urlPolicy } from '../url-policy.js';
import { maxStalledCount, type QueuedData, type QueuedProgress, queueName } from './job-queue.js';
import { hidden, loadBullMq } from './load-bullmq.js';
import { RedisJobStore } from './redis-job-store.js';

export interface WorkerOptions extends Partial<ServerLimits>, UrlSettings {
  /** Runs the jobs; the caller disposes it after the worker. */
  readonly service: SegmentationService;
  /** Address of Redis: `redis://host:6379`. */
  readonly redis: string;
  /** The folder that servers and workers share: `data` of the servers. */
  readonly results: string;
  /** Seconds after which a worker that gave no sign of life has lost its jobs to the others; default 30. */
  readonly lockSeconds?: number;
}

const cancelled = new Error('cancelled');
const shutDown = new Error('shut down');
const progressMilliseconds = 200;
/** How often is looked whether a job that runs was cancelled: less than a window takes. */
const lookMilliseconds = 250;

/** Runs jobs of its model from a queue in Redis. */
export class JobWorker implements AsyncDisposable {
  /** Resolves if the device fails so that only another process can use it again. */
  readonly broken: Promise<Error>;
  #break!: (error: Error) => void;
  #worker!: Worker<QueuedData>;
  #waitingError!: new () => Error;
  readonly #live = new Set<LiveJob>();
  #closing = false;
  #closed: Promise<void> | undefined;

  private constructor(
    private readonly store: JobStore,
    private readonly context: RunContext,
    private readonly disconnect: () => void,
  ) {
    this.broken = new Promise((resolve) => {
      this.#break = resolve;
    });
  }

  /** Throws `RvosError` BAD_ARGUMENT, BAD_STORE, OUTPUT_NOT_WRITABLE, DISK_FULL. */
  static async start(options: WorkerOptions): Promise<JobWorker> {
    const { service, redis: url, results, lockSeconds = 30 } = options;
    const limits = { ...defaultLimits, ...withoutUndefined(options) };
    if (/^\w+:\/\//.test(results)) {
      throw new RvosError('BAD_ARGUMENT', `${results} is no folder`, 'Give a folder that servers and workers share.');
    }
    const { bullmq, patient, prompt } = await loadBullMq(url);
    const folders = await JobFolders.make(results);
    const name = queueName(service.segmenter.model);
    const store = new RedisJobStore(prompt(), name, hidden(url));
    try {
      await store.checkWritable();
    } catch (error) {
      await store.close();
      throw error;
    }
    const connection = patient();
    const context = { service, folders, limits, urls: urlPolicy(options, limits) };
    const self = new JobWorker(store, context, () => connection.disconnect());
    self.#waitingError = bullmq.WaitingError;
    self.#worker = new bullmq.Worker<QueuedData>(name, (job, token) => self.#run(job, token), {
      ...{ connection, concurrency: limits.jobs, maxStalledCount },
      ...{ lockDuration: 1000 * lockSeconds, stalledInterval: 1000 * lockSeconds },
    });
    // It connects again by itself.
    self.#worker.on('error', () => undefined);
    await self.#worker.waitUntilReady();
    return self;
  }

  /** Takes no more jobs, gives those that run `graceSeconds` (default 20) to end, puts the others back for other workers. */
  close(graceSeconds = 20): Promise<void> {
    this.#closing = true;
    this.#closed ??= this.#close(graceSeconds);
    return this.#closed;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close(0);
  }

  async #close(graceSeconds: number): Promise<void> {
    const late = setTimeout(() => {
      for (const live of this.#live) live.controller.abort(shutDown);
    }, 1000 * graceSeconds);
    await this.#worker.close();
    clearTimeout(late);
    this.disconnect();
    await this.store.close();
  }

  async #run(queued: QueuedJob<QueuedData>, token: string | undefined): Promise<void> {
    const { store, context } = this;
    const { id } = queued.data;
    const job = await store.change(id, ['queued', 'running'], { state: 'running', started: Date.now() });
    if (!job) return;
    if (this.#closing) return this.#putBack(queued, token);
    const live = new LiveJob(id);
    this.#live.add(live);
    const unwatch = this.#watch(job, live, queued);
    let how: Pick<Job, 'state' | 'result' | 'error'>;
    try {
      // A worker before this one may have died between its last rename and the record.
      const earlier = await committedResult(context.folders.result(id));
      how = { state: 'done', result: earlier ?? (await runIntoPlace(job, live, context)) };
    } catch (error) {
      const { reason } = live.controller.signal;
      if (reason === cancelled) return;
      if (reason === shutDown) return await this.#putBack(queued, token);
      if (isBroken(error) && queued.attemptsStarted <= maxStalledCount) {
        // Else it would be the next to take the job that it puts back.
        await this.#worker.pause(true);
        this.#break(error as Error);
        return await this.#putBack(queued, token);
      }
      const code = error instanceof RvosError ? error.code : 'BACKEND_FAILED';
      how = { state: 'failed', error: { code, message: publicMessage(error, job, context.folders) } };
    } finally {
      unwatch();
      this.#live.delete(live);
    }
    await this.#end(job, how);
  }

  /** Once: where two workers ran it, the first one's end stands. */
  async #end(job: Job, how: Pick<Job, 'state' | 'result' | 'error'>): Promise<void> {
    const { store } = this;
    const { folders } = this.context;
    const ended = await store.change(job.id, ['queued', 'running'], { ...how, ended: Date.now() });
    if (!ended && (await store.get(job.id))?.state !== 'done') {
      await rm(folders.result(job.id), { recursive: true, force: true });
    }
    await rm(folders.upload(job.input), { force: true });
  }

  /** Tells progress, and stops the run when its record says that it was cancelled. */
  #watch({ id }: Job, live: LiveJob, queued: QueuedJob<QueuedData>): () => void {
    let told = '';
    const tell = setInterval(() => {
      const work = live.rows === undefined ? null : basename(dirname(live.rows));
      const progress: QueuedProgress = { ...live.progress, work };
      const text = JSON.stringify(progress);
      if (text === told) return;
      told = text;
      void queued.updateProgress({ ...progress }).catch(() => undefined);
    }, progressMilliseconds);
    const look = setInterval(async () => {
      const now = await this.store.get(id).catch(() => null);
      if (now === undefined || (now && endStates.includes(now.state))) live.controller.abort(cancelled);
    }, lookMilliseconds);
    return () => {
      clearInterval(tell);
      clearInterval(look);
    };
  }

  async #putBack(queued: QueuedJob<QueuedData>, token: string | undefined): Promise<never> {
    await queued.moveToWait(token);
    throw new this.#waitingError();
  }
}

/** The GPU's context is gone: every later call of this process fails too. */
function isBroken(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined;
  return cause instanceof Error && (cause as NodeJS.ErrnoException).code === 'DEVICE_LOST';
}

function withoutUndefined<T extends object>(options: T): Partial<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Partial<T>;
}
