import { rm } from 'node:fs/promises';
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { endStates, type Job } from '../job.js';
import { jobIdPattern } from '../job-folders.js';
import { answered, waitForEnd } from './job-streams.js';
import { Problem } from './problem.js';
import { requestedJob } from './requested-job.js';
import { resultRoutes, sendRows } from './result-routes.js';
import { jobParams, ndjson, type OwnJob, problems, type RoutesOptions } from './route-options.js';
import { pageSchema, segmentation, segmentationSchema } from './schemas.js';
import { receiveBody } from './upload.js';

/** `/v1/segmentations` and what is below it. */
export const segmentationRoutes: FastifyPluginAsyncZod<RoutesOptions> = async (app, options) => {
  const { jobs, folders, limits, keys } = options;
  const { store } = jobs.options;

  const find: OwnJob = async (request) => {
    const owner = keys.owner(request);
    const { id } = request.params;
    const job = jobIdPattern.test(id) ? await store.get(id) : undefined;
    // Nobody learns of another one's jobs.
    if (!job || job.owner !== owner) throw new Problem(404, 'NOT_FOUND', 'there is no such segmentation');
    return job;
  };
  const told = (job: Job) => segmentation(job, jobs.live(job.id));

  app.post(
    '/v1/segmentations',
    {
      schema: {
        summary: 'Segment what sentences describe in a video',
        querystring: z.object({ wait: z.coerce.number().min(0).max(300).optional() }),
        response: {
          200: segmentationSchema,
          202: segmentationSchema,
          ...problems(400, 401, 408, 413, 415, 422, 429, 503),
        },
      },
    },
    async (request, reply) => {
      const owner = keys.owner(request);
      const key = idempotencyKey(request);
      await options.checkRoom();
      const leavePlace = jobs.reserve();
      let unused: string | undefined;
      try {
        const body = await receiveBody(request, folders, limits);
        unused = body.input;
        const wanted = await requestedJob({ owner, key, body }, options);
        const { job, added } = await jobs.accept(wanted);
        if (added) unused = undefined;
        else if (job.idempotency?.digest !== wanted.idempotency?.digest) {
          throw new Problem(422, 'IDEMPOTENCY_KEY_REUSED', 'this Idempotency-Key came with other content before');
        }
        reply.header('location', `/v1/segmentations/${job.id}`);
        if (request.headers.accept?.includes(ndjson)) return sendRows(reply, jobs, job.id);
        const { wait } = request.query;
        if (wait) await waitForEnd(jobs, job, wait, answered(reply));
        const latest = (await store.get(job.id)) ?? job;
        return reply.code(endStates.includes(latest.state) ? 200 : 202).send(told(latest));
      } finally {
        leavePlace();
        if (unused !== undefined) await rm(folders.upload(unused), { force: true });
      }
    },
  );

  app.get(
    '/v1/segmentations',
    {
      schema: {
        summary: 'All segmentations of this API key, latest first',
        querystring: z.object({
          limit: z.coerce.number().int().min(1).max(100).default(20),
          before: z.string().regex(jobIdPattern).optional(),
        }),
        response: { 200: pageSchema, ...problems(400, 401, 429) },
      },
    },
    async (request) => {
      const { limit, before } = request.query;
      const list = await store.list(keys.owner(request), { before, limit: limit + 1 });
      const page = list.slice(0, limit);
      const next = list.length > limit ? `/v1/segmentations?limit=${limit}&before=${page.at(-1)!.id}` : null;
      return { segmentations: page.map(told), next };
    },
  );

  app.get(
    '/v1/segmentations/:id',
    {
      schema: {
        summary: 'State, progress and scores',
        params: jobParams,
        response: { 200: segmentationSchema, ...problems(401, 404, 429) },
      },
    },
    async (request) => told(await find(request)),
  );

  app.delete(
    '/v1/segmentations/:id',
    {
      schema: {
        summary: 'Cancel; of one that has ended, remove the results',
        params: jobParams,
        response: { 204: z.null(), ...problems(401, 404, 429) },
      },
    },
    async (request, reply) => {
      await jobs.remove(await find(request));
      return reply.code(204).send(null);
    },
  );

  await app.register(resultRoutes, { ...options, find });
};

function idempotencyKey({ headers }: FastifyRequest): string | undefined {
  const key = headers['idempotency-key'];
  if (key === undefined) return undefined;
  if (typeof key === 'string' && key.length >= 1 && key.length <= 255) return key;
  throw new Problem(400, 'BAD_REQUEST', 'an Idempotency-Key has 1 to 255 characters');
}
