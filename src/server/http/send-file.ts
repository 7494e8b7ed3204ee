import send from '@fastify/send';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Problem } from './problem.js';

/** A file, whole or the range that was asked for. */
export async function sendFile(request: FastifyRequest, reply: FastifyReply, path: string, type: string) {
  const { statusCode, headers, stream, type: kind } = await send(request.raw, path, { cacheControl: false });
  if (kind === 'error') {
    if (statusCode !== 416) throw new Problem(404, 'NOT_FOUND', 'it is gone');
    throw new Problem(416, 'RANGE_NOT_SATISFIABLE', 'the file has no such range');
  }
  return reply
    .code(statusCode)
    .headers({ ...headers, 'content-type': type, 'cache-control': 'private, no-cache' })
    .send(stream);
}
