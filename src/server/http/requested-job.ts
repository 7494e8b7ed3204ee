import { createHash, randomBytes } from 'node:crypto';
import type { z } from 'zod';
import { checkHost, parseAddress } from '../../download/http-client.js';
import { checkVideo } from '../check-video.js';
import { type Job, jobOutputs } from '../job.js';
import { newJobId } from '../job-folders.js';
import { Problem } from './problem.js';
import type { RoutesOptions } from './route-options.js';
import { requestSchema } from './schemas.js';
import type { ReceivedBody } from './upload.js';

interface JobRequest {
  readonly owner: string;
  /** Idempotency key. */
  readonly key: string | undefined;
  readonly body: ReceivedBody;
}

/** The job that a request asks for, once all that can be checked before it runs has been. Throws a `Problem` or `RvosError`. */
export async function requestedJob({ owner, key, body }: JobRequest, options: RoutesOptions): Promise<Job> {
  const { limits, folders, jobs, urls } = options;
  const parsed = requestSchema(limits).safeParse(body.fields);
  if (!parsed.success) throw invalid(parsed.error);
  const { sentences, outputs = [...jobOutputs], url, deadline, ...rest } = parsed.data;
  const { start = 0, end = Number.POSITIVE_INFINITY } = rest;
  if (!(start < end)) throw new Problem(422, 'BAD_ARGUMENT', 'start is not before end');
  const tokenizer = await jobs.options.service.segmenter.model.tokenizer();
  for (const sentence of sentences) tokenizer.prepare(sentence);
  let seconds: number | undefined;
  if (url !== undefined) {
    if (!urls) throw new Problem(422, 'URL_REFUSED', 'this server takes no URLs of videos: send the video itself');
    if (body.input !== undefined) throw new Problem(422, 'BAD_FIELD', 'a video and a url: one of both is wanted');
    checkHost(parseAddress(url), urls);
  } else if (body.input === undefined) {
    throw new Problem(422, 'NO_VIDEO', 'the body has no video');
  } else {
    seconds = await readableVideo(folders.upload(body.input), options, rest.video_stream);
  }
  const content = JSON.stringify([body.digest, url, sentences, outputs, deadline, rest]);
  const part = Math.min(end, seconds ?? Number.POSITIVE_INFINITY) - start;
  return {
    ...{ id: newJobId(), owner, state: 'queued', created: Date.now(), sentences, url, deadlineSeconds: deadline },
    ...(Number.isFinite(part) && { seconds: part }),
    outputs: [...new Set(outputs)],
    input: body.input ?? randomBytes(16).toString('hex'),
    options: {
      ...{ start: rest.start, end: rest.end, shortSide: rest.short_side, longSide: rest.long_side, tail: rest.tail },
      ...{ linkWindows: rest.link_windows, minScore: rest.min_score, priority: rest.priority },
      ...{ videoStream: rest.video_stream, audioStream: rest.audio_stream, deinterlace: rest.deinterlace },
      antialias: rest.antialias === undefined ? undefined : rest.antialias === 'on',
    },
    ...(key !== undefined && { idempotency: { key, digest: createHash('sha256').update(content).digest('hex') } }),
  };
}

/** Seconds of an upload; what its errors say of paths is left out. */
async function readableVideo(path: string, { limits }: RoutesOptions, videoStream: number | undefined) {
  try {
    return await checkVideo(path, limits, { videoStream });
  } catch (error) {
    if (error instanceof Error) error.message = error.message.replaceAll(path, 'the video');
    throw error;
  }
}

function invalid(error: z.ZodError): Problem {
  const [issue] = error.issues;
  const where = issue?.path.join('.') || 'the body';
  return new Problem(422, 'BAD_FIELD', `${where}: ${issue?.message ?? 'not valid'}`.replace(/\s+/g, ' ').slice(0, 300));
}
