import { Validator } from '@seriousme/openapi-schema-validator';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { json, testServer } from '../support/test-server.js';

interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly security?: readonly object[];
  readonly parameters?: readonly { readonly name: string; readonly in: string }[];
  readonly requestBody?: { readonly content: Record<string, { readonly schema: { properties: object } }> };
  readonly responses: Record<string, { readonly description: string; readonly content?: Record<string, object> }>;
}
interface Document {
  readonly openapi: string;
  readonly security: readonly object[];
  readonly paths: Record<string, Record<string, Operation>>;
}

let server: Awaited<ReturnType<typeof testServer>>;
let document: Document;
let operations: { readonly name: string; readonly path: string; readonly operation: Operation }[];
beforeAll(async () => {
  server = await testServer({ apiKeys: ['key'], allowUrls: '*' });
  document = await json(server.fetch('/openapi.json', { headers: { authorization: 'Bearer key' } }));
  operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, path, operation })),
  );
});
afterAll(() => server[Symbol.asyncDispose]());

describe('the document of the routes', () => {
  it('is OpenAPI 3.1 by the schema of the specification', async () => {
    const { valid, errors } = await new Validator().validate({ ...structuredClone(document) });
    expect(errors ?? []).toEqual([]);
    expect([valid, document.openapi]).toEqual([true, '3.1.0']);
  });

  it('gives each operation a name of its own, a summary, and a description of each answer', () => {
    const ids = operations.map(({ operation }) => operation.operationId);
    expect(ids).not.toContain(undefined);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { name, operation } of operations) {
      expect([name, operation.summary]).toEqual([name, expect.stringMatching(/\S/)]);
      for (const [status, { description, content }] of Object.entries(operation.responses)) {
        expect([name, status, description]).toEqual([name, status, expect.stringMatching(/\S/)]);
        if (Number(status) >= 400 && name.includes('/v1/')) {
          expect([name, status, Object.keys(content ?? {})]).toEqual([name, status, ['application/problem+json']]);
        }
      }
    }
  });

  it('names every parameter of a path', () => {
    for (const { name, path, operation } of operations) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, parameter]) => parameter);
      const named = (operation.parameters ?? []).filter((each) => each.in === 'path').map((each) => each.name);
      expect([name, named]).toEqual([name, inPath]);
    }
  });

  it('asks for a key everywhere but for health', () => {
    expect(document.security).toEqual([{ apiKey: [] }]);
    for (const { name, path, operation } of operations) {
      expect([name, operation.security]).toEqual([name, path.startsWith('/health/') ? [] : undefined]);
    }
  });

  it('tells the fields of a segmentation, in a form and in JSON', () => {
    const { content } = document.paths['/v1/segmentations']!.post!.requestBody!;
    const form = Object.keys(content['multipart/form-data']!.schema.properties);
    expect(form).toEqual(expect.arrayContaining(['video', 'sentences', 'start', 'link_windows', 'outputs']));
    expect(Object.keys(content['application/json']!.schema.properties)).toContain('url');
  });
});
