import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FastifyReply } from 'fastify';
import type { AcceptedJobs } from '../accepted-jobs.js';
import { tailFile } from '../frame-rows.js';
import { endStates, type Job } from '../job.js';
import { resultFiles } from '../job-folders.js';
import type { LiveJob } from '../live-job.js';
import { segmentation } from './schemas.js';

const heartbeatSeconds = 15;

/** Fires when the answer has been sent or the client has gone. */
export function answered({ raw }: FastifyReply): AbortSignal {
  const controller = new AbortController();
  raw.once('close', () => controller.abort());
  return controller.signal;
}

/** Resolves when a job changes, the client goes, or after some time. */
function change(live: LiveJob, signal: AbortSignal, seconds = 60): Promise<void> {
  return new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      live.off('change', end);
      signal.removeEventListener('abort', end);
      resolve();
    };
    const timer = setTimeout(end, 1000 * seconds);
    if (live.ended || signal.aborted) return end();
    live.once('change', end);
    signal.addEventListener('abort', end, { once: true });
  });
}

/** Whether the job has ended within so many seconds. */
export async function waitForEnd(
  jobs: AcceptedJobs,
  { id }: Job,
  seconds: number,
  signal: AbortSignal,
): Promise<boolean> {
  const until = performance.now() + 1000 * seconds;
  for (;;) {
    const live = jobs.live(id);
    if (!live || live.ended) return true;
    const left = (until - performance.now()) / 1000;
    if (left <= 0 || signal.aborted) return false;
    await change(live, signal, left);
  }
}

/** A line of JSON for each frame, as soon as its masks are final, then one with the job's end. */
export async function* rowsAndEnd(
  jobs: AcceptedJobs,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<Buffer | string, void, undefined> {
  const { store, folders } = jobs.options;
  const live = jobs.live(id);
  while (!signal.aborted) {
    while (live && live.rows === undefined && !live.ended && !signal.aborted) await change(live, signal);
    const over = !live || live.ended;
    const file = await open(live?.rows ?? join(folders.result(id), resultFiles.frames)).catch(() => undefined);
    if (file) {
      yield* tailFile(file, live, () => live?.ended ?? true, signal);
      break;
    }
    // It ended before its first frame; what follows says how. Else it is being renamed just now.
    if (over) break;
    await sleep(10);
  }
  const job = await store.get(id);
  if (job && !signal.aborted) yield `${JSON.stringify(segmentation(job, jobs.live(id)))}\n`;
}

/** Server-sent events: `progress` at each change, `end` as the last. */
export async function* jobEvents(
  jobs: AcceptedJobs,
  id: string,
  signal: AbortSignal,
): AsyncGenerator<string, void, undefined> {
  let last = '';
  let quietSince = performance.now();
  while (!signal.aborted) {
    const live = jobs.live(id);
    const job = await jobs.options.store.get(id);
    const told = job && segmentation(job, live);
    const text = JSON.stringify({ state: told?.state ?? 'removed', progress: told?.progress, error: told?.error });
    const over = !job || endStates.includes(job.state);
    if (text !== last) {
      yield `event: ${over ? 'end' : 'progress'}\ndata: ${text}\n\n`;
      quietSince = performance.now();
    } else if (performance.now() - quietSince > 1000 * heartbeatSeconds) {
      yield ': still here\n\n';
      quietSince = performance.now();
    }
    last = text;
    // A job that is not live and has not ended is left to the next process.
    if (over || !live) return;
    await change(live, signal, heartbeatSeconds);
  }
}
