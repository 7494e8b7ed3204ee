import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { FastifyReply } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Job, JobOutput } from '../job.js';
import { resultFiles } from '../job-folders.js';
import { answered, jobEvents, rowsAndEnd } from './job-streams.js';
import { maskZip } from './mask-zip.js';
import { Problem } from './problem.js';
import { jobParams, ndjson, type OwnJob, type OwnRequest, problems, type RoutesOptions } from './route-options.js';
import { sendFile } from './send-file.js';

/** What is sent as it is; the document of the routes says of which type. */
const content = z.any();

/** What is below `/v1/segmentations/{id}`: events, masks, video, contact sheet. */
export const resultRoutes: FastifyPluginAsyncZod<RoutesOptions & { readonly find: OwnJob }> = async (app, options) => {
  const { jobs, folders, find } = options;
  const done = (job: Job, output: JobOutput): string => {
    if (job.state !== 'done') throw new Problem(409, 'NOT_DONE', `the segmentation is ${job.state}`);
    if (!job.outputs.includes(output)) throw new Problem(404, 'NOT_FOUND', 'this output was not asked for');
    return join(folders.result(job.id), resultFiles[output]);
  };
  const route = (summary: string, ...statuses: number[]) => ({
    schema: { summary, params: jobParams, response: { 200: content, ...problems(401, 404, 429, ...statuses) } },
  });

  app.get(
    '/v1/segmentations/:id/events',
    route('Server-sent events: state and progress'),
    async (request: OwnRequest, reply) => {
      const { id } = await find(request);
      reply.header('content-type', 'text/event-stream').header('cache-control', 'no-store');
      return reply.send(Readable.from(jobEvents(jobs, id, answered(reply))));
    },
  );

  app.get(
    '/v1/segmentations/:id/masks',
    route('Masks: JSON as `rvos segment` writes it; PNG in a zip, or a line for each frame, by Accept', 409, 416),
    async (request: OwnRequest, reply) => {
      const job = await find(request);
      const { accept = '' } = request.headers;
      if (accept.includes(ndjson)) return sendRows(reply, jobs, job.id);
      const path = done(job, 'masks');
      if (!accept.includes('application/zip')) return sendFile(request, reply, path, 'application/json');
      reply.header('content-type', 'application/zip');
      const rows = join(folders.result(job.id), resultFiles.frames);
      return reply.send(maskZip(rows, job.result!.video.frames, job.sentences.length));
    },
  );

  app.get(
    '/v1/segmentations/:id/video',
    route('The video with the masks painted in', 409, 416),
    async (request: OwnRequest, reply) => sendFile(request, reply, done(await find(request), 'video'), 'video/mp4'),
  );

  app.get(
    '/v1/segmentations/:id/contact-sheet',
    route('Frames in columns, sentences in rows', 409, 416),
    async (request: OwnRequest, reply) =>
      sendFile(request, reply, done(await find(request), 'contact_sheet'), 'image/png'),
  );
};

export function sendRows(reply: FastifyReply, jobs: RoutesOptions['jobs'], id: string): FastifyReply {
  reply.header('content-type', ndjson).header('cache-control', 'no-store');
  return reply.send(Readable.from(rowsAndEnd(jobs, id, answered(reply)), { objectMode: false }));
}
