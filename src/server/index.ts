/** What users of `rvos/server` import. */
export { createServer, SegmentationServer, type ServerOptions } from './create-server.js';
export type { Job, JobChanges, JobOptions, JobOutput, JobResult, JobState } from './job.js';
export type { JobStore } from './job-store.js';
export { defaultLimits, type ServerLimits } from './limits.js';
export { LmdbJobStore } from './lmdb-job-store.js';
export { JobWorker, type WorkerOptions } from './redis/job-worker.js';
export {
  type Deadline,
  type FrameSize,
  SegmentationService,
  type ServiceOptions,
  type ServiceState,
} from './segmentation-service.js';
