import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Queue, QueueEvents } from 'bullmq';
import { RvosError } from '../../errors.js';
import type { AcceptedJobs } from '../accepted-jobs.js';
import { endStates, type Job } from '../job.js';
import { type JobFolders, jobIdPattern, resultFiles } from '../job-folders.js';
import type { JobStore } from '../job-store.js';
import type { ServerLimits } from '../limits.js';
import { LiveJob } from '../live-job.js';
import type { SegmentationService } from '../segmentation-service.js';
import { enqueue, type QueuedProgress, queueName } from './job-queue.js';
import { hidden, loadBullMq } from './load-bullmq.js';
import { RedisJobStore } from './redis-job-store.js';

export interface RemoteJobsOptions {
  readonly service: SegmentationService;
  readonly folders: JobFolders;
  readonly limits: Pick<ServerLimits, 'jobs' | 'maxQueue' | 'keepSeconds'>;
  readonly onStart?: (job: Job) => void;
  readonly onEnd?: (job: Job) => void;
}

const lookMilliseconds = 60_000;
/** What nobody claims is left over from a process that died, if it is older than any request takes. */
const leftOverMilliseconds = 2 * 3_600_000;

/**
 * Jobs that workers run, found through Redis: records in a store there, a BullMQ queue that says whose turn it is, videos and
 * results in a folder that all share. Any number of servers may stand in front.
 */
export class RemoteJobs implements AcceptedJobs {
  readonly #live = new Map<string, LiveJob>();
  #reserved = 0;
  #closed = false;
  readonly #look: ReturnType<typeof setInterval>;
  readonly #queue: Queue;
  readonly #events: QueueEvents;
  readonly #disconnect: () => void;

  private constructor(
    readonly options: RemoteJobsOptions & { readonly store: JobStore },
    parts: { queue: Queue; events: QueueEvents; disconnect: () => void },
  ) {
    this.#queue = parts.queue;
    this.#events = parts.events;
    this.#disconnect = parts.disconnect;
    this.#follow();
    this.#look = setInterval(() => void this.lookAfter().catch(() => undefined), lookMilliseconds);
    this.#look.unref();
  }

  /** Throws `RvosError` BAD_ARGUMENT, BAD_STORE where Redis does not answer. */
  static async open(url: string, options: RemoteJobsOptions): Promise<RemoteJobs> {
    const { bullmq, patient, prompt } = await loadBullMq(url);
    const name = queueName(options.service.segmenter.model);
    const store = new RedisJobStore(prompt(), name, hidden(url));
    try {
      await store.checkWritable();
    } catch (error) {
      await store.close();
      throw error;
    }
    const commands = prompt();
    const listening = patient();
    const queue = new bullmq.Queue(name, { connection: commands });
    const events = new bullmq.QueueEvents(name, { connection: listening });
    // Redis being away shows itself in what is asked of it.
    queue.on('error', () => undefined);
    events.on('error', () => undefined);
    await events.waitUntilReady();
    const disconnect = () => {
      commands.disconnect();
      listening.disconnect();
    };
    return new RemoteJobs({ ...options, store }, { queue, events, disconnect });
  }

  get waiting(): number {
    return this.#live.size - this.running;
  }

  get running(): number {
    let running = 0;
    for (const live of this.#live.values()) if (live.running) running++;
    return running;
  }

  get full(): boolean {
    const { jobs, maxQueue } = this.options.limits;
    return this.#live.size + this.#reserved >= jobs + maxQueue;
  }

  live(id: string): LiveJob | undefined {
    return this.#live.get(id);
  }

  reserve(): () => void {
    this.#reserved++;
    return () => {
      this.#reserved--;
    };
  }

  async accept(job: Job): Promise<{ job: Job; added: boolean }> {
    if (this.#closed) throw new RvosError('BACKEND_FAILED', 'the server is shutting down', 'Try again later.');
    const accepted = await this.options.store.add(job);
    if (!accepted.added) return accepted;
    this.#enter(job.id);
    // Where this fails the job is accepted all the same, and `lookAfter` queues it.
    await enqueue(this.#queue, job).catch(() => undefined);
    return accepted;
  }

  async recover(): Promise<number> {
    return this.lookAfter();
  }

  async expire(now?: number): Promise<void> {
    await this.lookAfter(now);
  }

  async remove(job: Job): Promise<void> {
    const { store, folders, onEnd } = this.options;
    const cancelled = await store.change(job.id, ['queued', 'running'], { state: 'cancelled', ended: Date.now() });
    // One that runs is locked; its worker sees that the record has ended.
    await this.#queue.remove(job.id).catch(() => undefined);
    if (cancelled) {
      onEnd?.(cancelled);
      await rm(folders.upload(job.input), { force: true });
      this.#leave(job.id);
      return;
    }
    await store.remove(job.id);
    await rm(folders.result(job.id), { recursive: true, force: true });
  }

  /**
   * Queues what the queue does not know (a server died between record and queue, Redis lost some), ends what it gave up,
   * removes what has expired or was left over. Returns how many jobs have not ended.
   */
  async lookAfter(now = Date.now()): Promise<number> {
    const { store, folders, limits } = this.options;
    const unfinished: Job[] = [];
    for await (const job of store.all()) {
      if (!endStates.includes(job.state)) unfinished.push(job);
      else this.#leave(job.id);
      if (job.ended !== undefined && now - job.ended > 1000 * limits.keepSeconds) await this.remove(job);
    }
    for (const job of unfinished) {
      const state = await this.#queue.getJobState(job.id);
      if (state === 'failed') await this.#givenUp(job.id);
      else {
        this.#enter(job.id);
        if (state === 'unknown') await enqueue(this.#queue, job);
      }
    }
    const uploads = new Set(unfinished.map(({ input }) => input));
    const ids = new Set(unfinished.map(({ id }) => id));
    await removeOld(folders.uploads, now, (name) => uploads.has(name.replace(/\.part$/, '')));
    await removeOld(folders.work, now, (name) => ids.has(name.split('-')[0]!));
    return unfinished.length;
  }

  /** Workers go on; those who wait here for a job's end are let go. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#look);
    for (const id of [...this.#live.keys()]) this.#leave(id);
    await Promise.allSettled([this.#events.close(), this.#queue.close()]);
    this.#disconnect();
  }

  /** What workers and other servers do to jobs. */
  #follow(): void {
    const { folders } = this.options;
    this.#events.on('added', ({ jobId }) => void this.#enter(jobId));
    this.#events.on('active', ({ jobId }) => void this.#started(jobId).catch(() => undefined));
    this.#events.on('progress', ({ jobId, data }) => {
      const live = this.#live.get(jobId);
      if (!live) return;
      const { frames, totalFrames, work } = data as QueuedProgress;
      live.progress = { frames, totalFrames };
      if (work !== null && /^[0-9a-f]+-[0-9a-f]+$/.test(work)) live.rows = join(folders.work, work, resultFiles.frames);
      live.tell();
    });
    this.#events.on('completed', ({ jobId }) => void this.#ended(jobId).catch(() => undefined));
    this.#events.on('failed', ({ jobId }) => void this.#givenUp(jobId).catch(() => undefined));
    this.#events.on('removed', ({ jobId }) => void this.#ended(jobId).catch(() => undefined));
  }

  #enter(id: string): void {
    if (this.#closed || this.#live.has(id) || !jobIdPattern.test(id)) return;
    this.#live.set(id, new LiveJob(id));
  }

  #leave(id: string): void {
    const live = this.#live.get(id);
    if (!live) return;
    this.#live.delete(id);
    live.rows = join(this.options.folders.result(id), resultFiles.frames);
    live.ended = true;
    live.tell();
  }

  async #started(id: string): Promise<void> {
    const live = this.#live.get(id);
    if (!live || live.running) return;
    live.running = true;
    live.tell();
    const job = await this.options.store.get(id);
    if (job?.started !== undefined) this.options.onStart?.(job);
  }

  async #ended(id: string): Promise<void> {
    if (!this.#live.has(id)) return;
    const job = await this.options.store.get(id);
    if (job && !endStates.includes(job.state)) return;
    if (job) this.options.onEnd?.(job);
    this.#leave(id);
  }

  /** The queue gave a job up: it took too many workers down with it. */
  async #givenUp(id: string): Promise<void> {
    const message = 'the workers that ran it ended again and again';
    const changes = { state: 'failed', ended: Date.now(), error: { code: 'BACKEND_FAILED', message } } as const;
    await this.options.store.change(id, ['queued', 'running'], changes);
    await this.#ended(id);
  }
}

async function removeOld(folder: string, now: number, kept: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(folder)) {
    const path = join(folder, name);
    const touched = await stat(path).then(
      ({ mtimeMs }) => mtimeMs,
      () => now,
    );
    if (!kept(name) && now - touched > leftOverMilliseconds) await rm(path, { recursive: true, force: true });
  }
}
