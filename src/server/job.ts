import type { WindowScore } from '../results/segmented-frame.js';
import type { Priority } from '../scheduling/priority.js';
import type { WindowTail } from '../windows.js';

export const jobStates = ['queued', 'running', 'done', 'failed', 'cancelled'] as const;
/** Accepted → running → one end. */
export type JobState = (typeof jobStates)[number];
export const endStates: readonly JobState[] = ['done', 'failed', 'cancelled'];

export const jobOutputs = ['masks', 'video', 'contact_sheet'] as const;
export type JobOutput = (typeof jobOutputs)[number];

/** What was asked of the video, apart from the sentences. */
export interface JobOptions {
  readonly start?: number | undefined;
  readonly end?: number | undefined;
  readonly shortSide?: number | undefined;
  readonly longSide?: number | undefined;
  readonly antialias?: boolean | undefined;
  readonly tail?: WindowTail | undefined;
  readonly linkWindows?: boolean | undefined;
  readonly minScore?: number | undefined;
  readonly priority?: Priority | undefined;
  readonly videoStream?: number | undefined;
  readonly audioStream?: number | 'none' | undefined;
  readonly deinterlace?: boolean | undefined;
}

export interface JobResult {
  readonly video: {
    readonly width: number;
    readonly height: number;
    readonly frameRate: number | null;
    readonly frames: number;
  };
  readonly queries: readonly {
    readonly text: string;
    readonly score: number;
    readonly windows: readonly WindowScore[];
  }[];
  readonly warnings: readonly string[];
}

/** What is kept of a job. */
export interface Job {
  readonly id: string;
  /** Whose it is: a hash of the API key. */
  readonly owner: string;
  readonly state: JobState;
  /** Milliseconds since 1970. */
  readonly created: number;
  readonly started?: number;
  readonly ended?: number;
  readonly sentences: readonly string[];
  readonly options: JobOptions;
  readonly outputs: readonly JobOutput[];
  /** Name of the video in the folder of uploads; where there is a `url`, it comes there when the job runs. */
  readonly input: string;
  readonly url?: string | undefined;
  /** Seconds from `created` after which the job fails. */
  readonly deadlineSeconds?: number | undefined;
  /** Seconds of video, as far as the container tells. */
  readonly seconds?: number | undefined;
  readonly idempotency?: { readonly key: string; readonly digest: string } | undefined;
  readonly result?: JobResult;
  readonly error?: { readonly code: string; readonly message: string };
}

export type JobChanges = Partial<Pick<Job, 'state' | 'started' | 'ended' | 'result' | 'error'>>;
