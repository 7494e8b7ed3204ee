import type { Job, JobChanges, JobState } from './job.js';

/**
 * Records of jobs, and nothing but records: when a job runs is not the store's to say. What a promise has resolved for is
 * there after a crash of the process.
 */
export interface JobStore extends AsyncDisposable {
  /** Adds a job, unless its owner has one of the same idempotency key: that one is returned instead. */
  add(job: Job): Promise<{ readonly job: Job; readonly added: boolean }>;
  get(id: string): Promise<Job | undefined>;
  /** Changes a job that is in one of these states; undefined, and nothing is changed, if it is not. */
  change(id: string, from: readonly JobState[], changes: JobChanges): Promise<Job | undefined>;
  /** Forgets a job and its idempotency key. */
  remove(id: string): Promise<void>;
  /** An owner's jobs, latest first, those before the job `before`. */
  list(owner: string, page: { readonly before?: string | undefined; readonly limit: number }): Promise<Job[]>;
  /** All jobs, in the order in which they came. */
  all(): AsyncIterable<Job>;
  /** Rejects where nothing can be written. */
  checkWritable(): Promise<void>;
  close(): Promise<void>;
}
