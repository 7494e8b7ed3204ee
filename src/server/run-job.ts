import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { downloadFile } from '../download/download-file.js';
import type { DownloadPolicy } from '../download/download-policy.js';
import { abortError, describeError, RvosError } from '../errors.js';
import { diskFull } from '../files/output-error.js';
import { drainInto, type FrameSink, type SinkOpener } from '../results/frame-sink.js';
import { contactSheetOutput, maskedVideoOutput, masksOutput } from '../results/outputs.js';
import type { SegmentSummary } from '../results/segmented-frame.js';
import { checkLimit, checkVideo } from './check-video.js';
import { FrameRows } from './frame-rows.js';
import type { Job, JobResult } from './job.js';
import { type JobFolders, resultFiles } from './job-folders.js';
import type { ServerLimits } from './limits.js';
import type { LiveJob } from './live-job.js';
import type { SegmentationService } from './segmentation-service.js';

export interface RunContext {
  readonly service: SegmentationService;
  readonly folders: JobFolders;
  readonly limits: Pick<ServerLimits, 'maxSeconds' | 'maxPixels' | 'maxFrames' | 'jobSeconds' | 'minFreeDisk'>;
  /** How the URL of a job is fetched; undefined where none is. */
  readonly urls: DownloadPolicy | undefined;
  /** Called with the seconds that writing a frame's outputs took. */
  readonly onEncode?: ((seconds: number) => void) | undefined;
}

const outputsOf = { masks: masksOutput, video: maskedVideoOutput, contact_sheet: contactSheetOutput };

/** Runs a job's video into the folder `work`, which is complete once this resolves. Throws any `RvosError`. */
export async function runJob(job: Job, live: LiveJob, work: string, context: RunContext): Promise<JobResult> {
  const { service, folders, limits, onEncode } = context;
  const { signal } = live.controller;
  const deadlineSeconds = secondsLeft(job, limits.jobSeconds);
  if (job.url !== undefined) await fetchVideo(job, context, signal);
  const stream = service.stream(folders.upload(job.input), job.sentences, {
    ...job.options,
    signal,
    deadlineSeconds,
    ...(job.seconds !== undefined && { isLong: async () => job.seconds! > service.shortSeconds }),
    onProgress: ({ frames, totalFrames }) => {
      live.progress = { frames, totalFrames };
      live.tell();
    },
  });
  const openRows = async () => {
    const path = join(work, resultFiles.frames);
    const rows = await FrameRows.open(path, () => live.tell());
    live.rows = path;
    return rows;
  };
  const openBounds: SinkOpener = async ({ video }) => {
    checkLimit('pixels a frame', video.width * video.height, limits.maxPixels);
    return new Bounds(limits, folders);
  };
  const outputs = job.outputs.map((output) => outputsOf[output](join(work, resultFiles[output])));
  const writers = [openRows, ...outputs].map((open) => timed(open, onEncode));
  const summary = await drainInto(stream, [openBounds, ...writers]);
  const result = jobResult(summary);
  await writeFile(join(work, resultFiles.summary), JSON.stringify(result));
  if (signal.aborted) throw abortError(signal);
  return result;
}

/** One line for a job's error, without the server's own paths. */
export function publicMessage(error: unknown, job: Job, folders: JobFolders): string {
  if (!(error instanceof RvosError)) return 'the server failed at this job';
  return describeError(error).replaceAll(folders.upload(job.input), 'the video').replaceAll(folders.root, '…');
}

/** Of what the job may take since it was accepted; waiting counts. Throws DEADLINE_EXCEEDED. */
function secondsLeft({ created, deadlineSeconds }: Job, jobSeconds: number): number {
  if (deadlineSeconds === undefined) return jobSeconds;
  const left = deadlineSeconds - Math.max(0, (Date.now() - created) / 1000);
  if (left > 0) return Math.min(left, jobSeconds);
  const message = `it waited longer than its ${deadlineSeconds} s`;
  throw new RvosError('DEADLINE_EXCEEDED', message, 'Allow more time, or send it when fewer jobs wait.');
}

/** Brings the video of a URL to where an upload would be. */
async function fetchVideo({ url, input, options }: Job, { folders, limits, urls }: RunContext, signal: AbortSignal) {
  if (!urls) throw new RvosError('ADDRESS_REFUSED', 'this server takes no URLs any more', 'Send the video itself.');
  const path = folders.upload(input);
  const partial = `${path}.part`;
  await rm(partial, { force: true });
  await downloadFile(url!, partial, urls, signal);
  await rename(partial, path);
  await checkVideo(path, limits, { videoStream: options.videoStream, signal });
}

/** Ends a run whose video is longer than its header said, or for whose results there is no room. */
class Bounds implements FrameSink {
  #looked = 0;

  constructor(
    private readonly limits: RunContext['limits'],
    private readonly folders: JobFolders,
  ) {}

  async write({ index, time }: { readonly index: number; readonly time: number }): Promise<void> {
    checkLimit('frames', index + 1, this.limits.maxFrames);
    checkLimit('seconds', time, this.limits.maxSeconds);
    const now = performance.now();
    if (now - this.#looked < 1000) return;
    this.#looked = now;
    if ((await this.folders.freeBytes()) < this.limits.minFreeDisk) throw diskFull(this.folders.root);
  }

  async finish(): Promise<void> {}

  async abort(): Promise<void> {}
}

function timed(open: SinkOpener, onEncode: ((seconds: number) => void) | undefined): SinkOpener {
  if (!onEncode) return open;
  return async (context) => {
    const sink = await open(context);
    const write = sink.write.bind(sink);
    sink.write = async (frame) => {
      const began = performance.now();
      await write(frame);
      onEncode((performance.now() - began) / 1000);
    };
    return sink;
  };
}

function jobResult({ video, queries, warnings }: SegmentSummary): JobResult {
  const { width, height, frameRate, frames } = video;
  return { video: { width, height, frameRate, frames }, queries, warnings };
}
