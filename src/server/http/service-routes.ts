import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { ServerLimits } from '../limits.js';
import type { SegmentationService } from '../segmentation-service.js';
import type { ApiKeys } from './api-keys.js';
import type { ServerMetrics } from './metrics.js';
import { openApiDocument } from './openapi.js';
import { problems } from './route-options.js';
import { healthSchema, modelsSchema } from './schemas.js';

export interface ServiceRoutesOptions {
  readonly service: SegmentationService;
  readonly limits: ServerLimits;
  readonly keys: ApiKeys;
  readonly metrics: ServerMetrics;
  /** Why no jobs are taken; empty where they are. */
  readonly unready: () => Promise<string[]>;
}

/** Model, health, metrics and the document of all routes. Only health is open to those without a key. */
export const serviceRoutes: FastifyPluginAsyncZod<ServiceRoutesOptions> = async (app, options) => {
  const { service, limits, keys, metrics, unready } = options;
  app.get(
    '/v1/models',
    { schema: { summary: 'The model', response: { 200: modelsSchema, ...problems(401, 429) } } },
    async (request) => {
      keys.owner(request);
      const { model, backend } = service.segmenter;
      const { shortSide, longSide } = model.preprocessing;
      const { length, overlap } = model.windows;
      const told = { name: model.name, backend: backend.name, short_side: shortSide, long_side: longSide };
      return { models: [{ ...told, window: { length, overlap }, min_score: model.minScore }] };
    },
  );
  app.get(
    '/health/live',
    { exposeHeadRoute: true, schema: { summary: 'It runs', response: { 200: healthSchema } } },
    async () => {
      return { status: 'ok' as const, reasons: [] };
    },
  );
  app.get(
    '/health/ready',
    { exposeHeadRoute: true, schema: { summary: 'It takes jobs', response: { 200: healthSchema, 503: healthSchema } } },
    async (_, reply) => {
      const reasons = await unready();
      if (reasons.length === 0) return reply.code(200).send({ status: 'ok', reasons });
      return reply.code(503).send({ status: 'unavailable', reasons });
    },
  );
  app.get('/metrics', { schema: { hide: true } }, async (request, reply) => {
    keys.owner(request);
    return reply.type(metrics.registry.contentType).send(await metrics.registry.metrics());
  });
  app.get('/openapi.json', { schema: { hide: true } }, async (request, reply) => {
    keys.owner(request);
    return reply.type('application/json').send(JSON.stringify(openApiDocument(app.swagger(), limits)));
  });
};
