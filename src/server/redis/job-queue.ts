import type { Queue, Job as QueuedJob } from 'bullmq';
import type { Priority } from '../../scheduling/priority.js';
import type { Job } from '../job.js';

/** Changes where workers of one release could not run the jobs of another. */
const jobFormat = 1;
/** How often a job may take its worker down before it counts as failed. */
export const maxStalledCount = 5;

/** What BullMQ holds of a job: the record is in the store. */
export interface QueuedData {
  readonly id: string;
}

/** What a worker tells of a job that runs. */
export interface QueuedProgress {
  readonly frames: number;
  readonly totalFrames: number | null;
  /** Name of the folder below `work` to which its outputs are being written. */
  readonly work: string | null;
}

/** One queue for each pair of job format and model. */
export function queueName(model: { readonly name: string; readonly weightsSha256?: string }): string {
  return `rvos-${jobFormat}-${model.weightsSha256 ?? model.name}`;
}

const priorities: Readonly<Record<Priority, number>> = { high: 1, normal: 2, low: 3 };

/** Adds a job; nothing happens where it is there already. */
export function enqueue(queue: Queue, { id, options }: Job): Promise<QueuedJob> {
  const priority = priorities[options.priority ?? 'normal'];
  const data: QueuedData = { id };
  // One job, one outcome: the record says how it ended, so the queue keeps nothing of it.
  return queue.add('segment', data, { jobId: id, priority, removeOnComplete: true, removeOnFail: { age: 86_400 } });
}
