import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { FastifyPluginAsync } from 'fastify';
import { packageRoot } from '../../package-root.js';
import { sendFile } from './send-file.js';

/** Nothing but its own files, the server's answers, and what the visitor chose or records. */
const pagePolicy = [
  "default-src 'none'",
  ...["script-src 'self'", "style-src 'self'", "connect-src 'self'", 'img-src data:', 'media-src blob:'],
  ...["base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"],
].join('; ');

const parts: Readonly<Record<string, string>> = {
  '/': 'text/html; charset=utf-8',
  '/page/page.css': 'text/css; charset=utf-8',
  '/page/page.js': 'text/javascript; charset=utf-8',
  '/page/overlay.js': 'text/javascript; charset=utf-8',
  '/page/rle.js': 'text/javascript; charset=utf-8',
  '/page/colours.js': 'text/javascript; charset=utf-8',
};

/** The page at `/`, for trying it out in a browser: open to all, it asks for the API key itself. */
export const pageRoutes: FastifyPluginAsync = async (app) => {
  for (const [url, type] of Object.entries(parts)) {
    const name = url === '/' ? 'index.html' : url.slice('/page/'.length);
    const content = await readFile(join(packageRoot, 'page', name));
    app.get(url, { schema: { hide: true } }, async (_, reply) => {
      reply.headers({ 'content-security-policy': pagePolicy, 'cache-control': 'no-cache' });
      return reply.type(type).send(content);
    });
  }
  app.get('/page/sample.mp4', { schema: { hide: true } }, (request, reply) =>
    sendFile(request, reply, join(packageRoot, 'examples/demo.mp4'), 'video/mp4'),
  );
};
