import type { Job } from './job.js';
import type { JobFolders } from './job-folders.js';
import type { JobStore } from './job-store.js';
import type { LiveJob } from './live-job.js';
import type { SegmentationService } from './segmentation-service.js';

/** Jobs as the HTTP face sees them, whether this process runs them or workers on other machines do. */
export interface AcceptedJobs {
  readonly options: {
    readonly service: SegmentationService;
    readonly folders: JobFolders;
    readonly store: JobStore;
  };
  /** Jobs that wait for their turn. */
  readonly waiting: number;
  readonly running: number;
  /** Jobs that run, those that wait and requests that are on their way here fill all places. */
  readonly full: boolean;
  /** A job that has not ended, as far as is known here. */
  live(id: string): LiveJob | undefined;
  /** Keeps a place for a request that brings a job, until the returned function is called. */
  reserve(): () => void;
  /** Takes a job whose video is in place; `added` is false if its owner has one of the same idempotency key. */
  accept(job: Job): Promise<{ job: Job; added: boolean }>;
  /** Takes up what was accepted earlier and has not ended. Returns how many jobs that were. */
  recover(): Promise<number>;
  /** Ends a job that has not ended, within a window; of one that has, removes the results. */
  remove(job: Job): Promise<void>;
  /** Removes ended jobs that are older than they are kept. */
  expire(now?: number): Promise<void>;
  /** Accepts no more; jobs that run here get `graceSeconds` to end, the others stay accepted. */
  close(graceSeconds: number): Promise<void>;
}
