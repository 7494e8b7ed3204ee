import { readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { Job, JobResult } from './job.js';
import { resultFiles } from './job-folders.js';
import type { LiveJob } from './live-job.js';
import { type RunContext, runJob } from './run-job.js';

/**
 * Runs a job into a folder of its own, which is renamed into place when all outputs are complete: the first one wins where
 * two processes run the same job, and both have its result. Throws any `RvosError`; nothing is left then.
 */
export async function runIntoPlace(job: Job, live: LiveJob, context: RunContext): Promise<JobResult> {
  const { folders } = context;
  const work = await folders.newWork(job.id);
  const place = folders.result(job.id);
  try {
    const result = await runJob(job, live, work, context);
    try {
      await rename(work, place);
    } catch (error) {
      const first = await committedResult(place);
      if (!first) throw error;
      await rm(work, { recursive: true, force: true });
      return first;
    }
    return result;
  } catch (error) {
    await rm(work, { recursive: true, force: true }).catch(() => undefined);
    throw error;
  } finally {
    live.rows = join(place, resultFiles.frames);
  }
}

/** What a result folder says, if one is there: it appears whole or not at all. */
export async function committedResult(folder: string): Promise<JobResult | undefined> {
  const text = await readFile(join(folder, resultFiles.summary), 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as JobResult);
}
