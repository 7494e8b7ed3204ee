import { z } from 'zod';
import type { ServerLimits } from '../limits.js';
import { problemType } from './problem.js';
import { requestSchema } from './schemas.js';

interface Operation {
  readonly parameters?: readonly object[];
  operationId?: string;
  security?: readonly object[];
  readonly responses: Record<string, { description?: string; content?: Record<string, object> }>;
}
interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
}

const base = '/v1/segmentations';
/** What is sent as it is, by path. */
const files: Readonly<Record<string, readonly string[]>> = {
  [`${base}/{id}/events`]: ['text/event-stream'],
  [`${base}/{id}/masks`]: ['application/json', 'application/x-ndjson', 'application/zip'],
  [`${base}/{id}/video`]: ['video/mp4'],
  [`${base}/{id}/contact-sheet`]: ['image/png'],
};
const operationIds: Readonly<Record<string, string>> = {
  [`post ${base}`]: 'createSegmentation',
  [`get ${base}`]: 'listSegmentations',
  [`get ${base}/{id}`]: 'getSegmentation',
  [`delete ${base}/{id}`]: 'deleteSegmentation',
  [`get ${base}/{id}/events`]: 'getEvents',
  [`get ${base}/{id}/masks`]: 'getMasks',
  [`get ${base}/{id}/video`]: 'getVideo',
  [`get ${base}/{id}/contact-sheet`]: 'getContactSheet',
  'get /v1/models': 'listModels',
  'get /health/live': 'getLive',
  'get /health/ready': 'getReady',
};
const descriptions: Readonly<Record<string, string>> = {
  200: 'Done',
  202: 'Accepted',
  204: 'Cancelled or removed',
  206: 'A part of the file',
};

/** The document of the routes, with what their schemas cannot say: bodies that are read part by part, files, problems. */
export function openApiDocument(made: object, limits: ServerLimits): object {
  const document = structuredClone(made) as Document;
  for (const [path, operations] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(operations)) {
      const id = operationIds[`${method} ${path}`];
      if (id) operation.operationId = id;
      if (path.startsWith('/health/')) operation.security = [];
      for (const [status, response] of Object.entries(operation.responses)) {
        response.description = descriptions[status] ?? 'A problem';
        const json = response.content?.['application/json'];
        if (Number(status) >= 400 && json && path.startsWith('/v1')) response.content = { [problemType]: json };
      }
      for (const type of files[path] ?? []) {
        const ok = operation.responses['200'];
        if (ok && !ok.content?.[type]) ok.content = { ...ok.content, [type]: {} };
      }
      const types = files[path];
      const content = operation.responses['200']?.content;
      if (types && content) for (const type of Object.keys(content)) if (!types.includes(type)) delete content[type];
      if (types && !path.endsWith('/events')) {
        operation.responses['206'] = { description: descriptions['206']!, content: { ...content } };
      }
    }
  }
  const { $schema: _, ...json } = z.toJSONSchema(requestSchema(limits), { io: 'input', target: 'draft-2020-12' });
  const { url: __, ...fields } = json.properties ?? {};
  const video = { type: 'string', contentMediaType: 'application/octet-stream', description: 'The video' };
  const post = document.paths[base]!.post!;
  const key = {
    name: 'Idempotency-Key',
    in: 'header',
    required: false,
    schema: { type: 'string', minLength: 1, maxLength: 255 },
  };
  document.paths[base]!.post = {
    ...post,
    parameters: [...(post.parameters ?? []), key],
    ...{
      requestBody: {
        required: true,
        content: {
          'multipart/form-data': {
            schema: { ...json, properties: { video, ...fields }, required: ['video', 'sentences'] },
          },
          'application/json': { schema: json },
        },
      },
    },
  };
  return document;
}
