import type { FastifyRequest } from 'fastify';
import { z } from 'zod';
import type { DownloadPolicy } from '../../download/download-policy.js';
import type { AcceptedJobs } from '../accepted-jobs.js';
import type { Job } from '../job.js';
import type { JobFolders } from '../job-folders.js';
import type { ServerLimits } from '../limits.js';
import type { ApiKeys } from './api-keys.js';
import { problemSchema } from './schemas.js';

export interface RoutesOptions {
  readonly jobs: AcceptedJobs;
  readonly folders: JobFolders;
  readonly limits: ServerLimits;
  readonly keys: ApiKeys;
  /** How videos of URLs are fetched; undefined where none is. */
  readonly urls: DownloadPolicy | undefined;
  /** Rejects with a 503 where a job could not be taken. */
  readonly checkRoom: () => Promise<void>;
}

export type OwnRequest = FastifyRequest<{ Params: { id: string } }>;
/** The owner's job of the request's id. */
export type OwnJob = (request: OwnRequest) => Promise<Job>;

export const jobParams = z.object({ id: z.string() });
export const problems = (...codes: number[]) => Object.fromEntries(codes.map((code) => [code, problemSchema]));
export const ndjson = 'application/x-ndjson';
