import { randomUUID } from 'node:crypto';
import { type IncomingMessage, STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import multipart from '@fastify/multipart';
import rateLimit from '@fastify/rate-limit';
import swagger from '@fastify/swagger';
import fastify, { type FastifyInstance } from 'fastify';
import { jsonSchemaTransform, serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { packageVersion } from '../../package-root.js';
import type { ServerLimits } from '../limits.js';
import { watchBodyRate } from './body-rate.js';
import type { ServerMetrics } from './metrics.js';
import { Problem, problemBody, problemType, toProblem } from './problem.js';

const jsonBytes = 1 << 18;
const headerBytes = 16_384;
const lingerMilliseconds = 2000;

export interface AppOptions {
  readonly limits: ServerLimits;
  readonly metrics: ServerMetrics;
  readonly log: boolean | { write(line: string): void };
  /** Whether API keys are asked for. */
  readonly hasKeys: boolean;
}

/** Fastify as all routes have it: limits, errors as problems, headers, logs, metrics. */
export async function makeApp({ limits, metrics, log, hasKeys }: AppOptions): Promise<FastifyInstance> {
  const app = fastify({
    logger:
      log === false ? false : { level: 'info', ...(log !== true && { stream: log }), serializers: quietSerializers },
    bodyLimit: jsonBytes,
    requestTimeout: 1000 * limits.uploadSeconds,
    http: {
      headersTimeout: 1000 * limits.headerSeconds,
      connectionsCheckingInterval: Math.min(2000, 500 * limits.headerSeconds),
      maxHeaderSize: headerBytes,
    },
    genReqId: () => randomUUID(),
    exposeHeadRoutes: false,
    // Any id that is none is a 404, also a very long one.
    routerOptions: { maxParamLength: headerBytes },
    forceCloseConnections: 'idle',
    clientErrorHandler: (error, socket) => answerBadClient(error, socket),
  }) as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  app.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    if (problem.status >= 500) request.log.error({ code: problem.code, err: (error as Error).message }, 'failed');
    if (problem.retryAfter !== undefined) reply.header('retry-after', String(problem.retryAfter));
    if (problem.status === 401) reply.header('www-authenticate', 'Bearer');
    return reply.code(problem.status).type(problemType).serializer(JSON.stringify).send(problemBody(problem));
  });
  app.addHook('onRequest', async (request, reply) => {
    reply.headers({ ...securityHeaders, 'x-request-id': request.id });
    watchBodyRate(request.raw, limits, () => {
      const slow = new Problem(408, 'TOO_SLOW', `the body brings less than ${limits.minBodyRate} bytes a second`);
      if (!reply.raw.headersSent) answerProblem(request.raw.socket, slow);
      request.raw.destroy(slow);
    });
  });
  app.addHook('onResponse', async (request, reply) => {
    const route = request.routeOptions.url ?? 'none';
    metrics.request(request.method, route, reply.statusCode, reply.elapsedTime / 1000);
    if (!request.raw.complete) linger(request.raw);
  });
  refuseOtherMethods(app);
  await app.register(multipart, { throwFileSizeLimit: false });
  if (limits.rateLimit !== undefined) {
    await app.register(rateLimit, {
      max: limits.rateLimit,
      timeWindow: 1000,
      keyGenerator: (request) => request.headers.authorization ?? request.ip,
      allowList: (request) => !request.url.startsWith('/v1/'),
      errorResponseBuilder: () => new Problem(429, 'RATE_LIMITED', 'too many requests of this API key', 1),
    });
  }
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'rvos',
        description: 'Video and sentences in, masks out.',
        version: packageVersion(),
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/' }],
      components: { securitySchemes: { apiKey: { type: 'http', scheme: 'bearer' } } },
      security: hasKeys ? [{ apiKey: [] }] : [],
    },
    transform: jsonSchemaTransform,
  });
  return app;
}

/** A known address answers 405 to methods that are not its own. */
function refuseOtherMethods(app: FastifyInstance): void {
  const methods = new Map<string, Set<string>>();
  app.addHook('onRoute', ({ url, method }) => {
    const known = methods.get(url) ?? new Set();
    methods.set(url, known);
    for (const name of [method].flat()) known.add(name);
  });
  // Before a body is looked at.
  app.addHook('onRequest', async (request, reply) => {
    if (!request.is404) return;
    const path = request.url.split('?', 1)[0]!;
    const [, found] = [...methods].find(([url]) => pathPattern(url).test(path)) ?? [];
    if (!found) throw new Problem(404, 'NOT_FOUND', 'there is nothing at this address');
    const taken = [...found].join(', ');
    reply.header('allow', taken);
    throw new Problem(405, 'METHOD_NOT_ALLOWED', `this address takes ${taken}`);
  });
}

function pathPattern(url: string): RegExp {
  return new RegExp(`^${url.replace(/:[a-z]+/g, '[^/]+')}/?$`);
}

const securityHeaders = {
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'cross-origin-resource-policy': 'same-origin',
};

/** Neither queries nor headers: they may hold what is not for a log. */
const quietSerializers = {
  req: (request: { method: string; routeOptions?: { url?: string | undefined } }) => ({
    method: request.method,
    route: request.routeOptions?.url,
  }),
};

/** What Node refuses before there is a request. */
function answerBadClient({ code }: NodeJS.ErrnoException, socket: Socket): void {
  if (code === 'ECONNRESET') {
    socket.destroy();
  } else if (code === 'ERR_HTTP_REQUEST_TIMEOUT') {
    answerProblem(socket, new Problem(408, 'TOO_SLOW', 'the request takes too long'));
  } else if (code === 'HPE_HEADER_OVERFLOW') {
    answerProblem(socket, new Problem(431, 'TOO_LARGE', `headers may have up to ${headerBytes} bytes`));
  } else {
    answerProblem(socket, new Problem(400, 'BAD_REQUEST', 'this is no HTTP request'));
  }
}

/**
 * A body that was refused is read on and thrown away for a moment: many clients look at an answer only when they have sent
 * all, and closing now would take it from them. Who goes on sending is cut off.
 */
function linger(request: IncomingMessage): void {
  request.resume();
  const cut = setTimeout(() => request.destroy(), lingerMilliseconds);
  cut.unref();
  request.once('close', () => clearTimeout(cut));
  request.once('end', () => clearTimeout(cut));
}

function answerProblem(socket: Socket, problem: Problem): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify(problemBody(problem));
  socket.end(
    `HTTP/1.1 ${problem.status} ${STATUS_CODES[problem.status]}\r\ncontent-type: ${problemType}\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
  // A client that does not close its side either is cut off.
  setTimeout(() => socket.destroy(), 1000).unref();
}
