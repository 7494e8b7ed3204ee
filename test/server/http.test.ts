import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { form, json, testServer } from '../support/test-server.js';
import { ffmpeg, videoFolder } from '../support/videos.js';
import { entriesOf } from '../support/zip-entries.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
let short: Buffer;
let long: Buffer;
beforeAll(async () => {
  folder = await videoFolder();
  const make = async (name: string, seconds: number) => {
    const path = join(folder.path, name);
    const source = `testsrc2=size=64x48:rate=25:duration=${seconds}`;
    await ffmpeg('-f', 'lavfi', '-i', source, '-c:v', 'mpeg4', path);
    return readFile(path);
  };
  short = await make('short.mp4', 0.4);
  long = await make('long.mp4', 20);
});
afterAll(() => folder.remove());

const post = (body: FormData, headers: Record<string, string> = {}) => ({ method: 'POST', body, headers });
const problem = (status: number, code?: string) =>
  expect.objectContaining({ status, type: 'about:blank', ...(code && { code }) });

async function told(response: Response): Promise<unknown> {
  expect(response.headers.get('content-type')).toContain('application/problem+json');
  const body = await json(response);
  expect(body).toHaveProperty('status', response.status);
  return body;
}

describe('a segmentation', () => {
  it('is accepted, done, and told: masks, video, contact sheet, scores', async () => {
    await using server = await testServer();
    const accepted = await server.fetch('/v1/segmentations', post(form(short, { sentences: ['a', 'b'] })));
    expect(accepted.status).toBe(202);
    const job = await json(accepted);
    expect(job).toMatchObject({ sentences: ['a', 'b'], links: { self: `/v1/segmentations/${job.id}` } });
    const stream = await (await server.fetch(job.links.events)).text();
    expect(stream).toMatch(/event: end\ndata: {"state":"done"/);
    const done = await json(server.fetch(job.links.self));
    expect(done).toMatchObject({
      state: 'done',
      video: { width: 64, height: 48, frame_rate: 25, frames: 10 },
      queries: [
        { text: 'a', score: 0.5, windows: [{ start: 0, end: 10, object_query: 0 }] },
        { text: 'b', score: 0.5 },
      ],
    });
    const masks = await json(server.fetch(done.links.masks));
    expect(masks).toMatchObject({ video: { width: 64, frames: 10 }, queries: [{ text: 'a' }, { text: 'b' }] });
    expect(masks.masks[1]).toHaveLength(10);
    const sheet = await server.fetch(done.links.contact_sheet);
    expect(await sharp(Buffer.from(await sheet.arrayBuffer())).metadata()).toMatchObject({ format: 'png' });
    const zip = await server.fetch(done.links.masks, { headers: { accept: 'application/zip' } });
    const entries = await entriesOf(Buffer.from(await zip.arrayBuffer()));
    expect(
      entries
        .map(({ name }) => name)
        .sort()
        .slice(-2),
    ).toEqual(['1/00008.png', '1/00009.png']);
    expect(entries).toHaveLength(20);
    expect(await sharp(entries[0]!.data).metadata()).toMatchObject({ width: 64, height: 48 });
  });

  it('waits for the result where asked to, and streams frames as lines', async () => {
    await using server = await testServer();
    const waited = await server.fetch('/v1/segmentations?wait=30', post(form(short, { sentences: 'a' })));
    expect(waited.status).toBe(200);
    expect(await json(waited)).toMatchObject({ state: 'done' });
    const accept = { accept: 'application/x-ndjson' };
    const streamed = await server.fetch('/v1/segmentations', post(form(short, { sentences: 'a' }), accept));
    const lines = (await streamed.text())
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.slice(0, -1).map(({ frame }) => frame)).toEqual(Array.from({ length: 10 }, (_, i) => i));
    expect(lines[0]).toMatchObject({
      time: 0,
      masks: [{ size: [48, 64] }],
      boxes: [[expect.any(Number), 0, expect.any(Number), 1]],
    });
    expect(lines.at(-1)).toMatchObject({ state: 'done', queries: [{ text: 'a', score: 0.5 }] });
  });

  it('sends frames of a long video before it is done', async () => {
    await using server = await testServer({ milliseconds: 50 });
    const accept = { accept: 'application/x-ndjson' };
    const body = form(long, { sentences: 'a', outputs: 'masks' });
    const streamed = await server.fetch('/v1/segmentations', post(body, accept));
    const reader = streamed.body!.getReader();
    const first = await reader.read();
    expect(Buffer.from(first.value!).toString()).toContain('"frame":0');
    const id = streamed.headers.get('location')!;
    expect(await json(server.fetch(id))).toMatchObject({ state: 'running' });
    await reader.cancel();
    // The client is gone; its job goes on.
    expect(await json(server.fetch(`${id}`))).toMatchObject({ state: 'running' });
    expect((await server.fetch(id, { method: 'DELETE' })).status).toBe(204);
    expect(await json(server.fetch(id))).toMatchObject({ state: 'cancelled' });
  });

  it('video comes in ranges', async () => {
    await using server = await testServer();
    const body = form(short, { sentences: 'a', outputs: 'video' });
    const done = await json(server.fetch('/v1/segmentations?wait=30', post(body)));
    const whole = Buffer.from(await (await server.fetch(done.links.video)).arrayBuffer());
    const part = await server.fetch(done.links.video, { headers: { range: 'bytes=10-19' } });
    expect(part.status).toBe(206);
    expect(part.headers.get('content-range')).toBe(`bytes 10-19/${whole.length}`);
    expect(Buffer.from(await part.arrayBuffer())).toEqual(whole.subarray(10, 20));
    const beyond = await server.fetch(done.links.video, { headers: { range: `bytes=${whole.length}-` } });
    expect(await told(beyond)).toEqual(problem(416));
    expect(await told(await server.fetch(`${done.links.self}/masks`))).toEqual(problem(404));
  });

  it('is cancelled within a window, and removed once it has ended', async () => {
    await using server = await testServer({ milliseconds: 30, jobs: 1 });
    const send = async () => json(server.fetch('/v1/segmentations', post(form(long, { sentences: 'a' }))));
    const [running, waiting] = [await send(), await send()];
    while (server.backend.order.length < 2) await sleep(10);
    for (const { id } of [waiting, running]) {
      const began = performance.now();
      expect((await server.fetch(`/v1/segmentations/${id}`, { method: 'DELETE' })).status).toBe(204);
      expect(performance.now() - began).toBeLessThan(5000);
      expect(await json(server.fetch(`/v1/segmentations/${id}`))).toMatchObject({ state: 'cancelled' });
      expect(await told(await server.fetch(`/v1/segmentations/${id}/masks`))).toEqual(problem(409, 'NOT_DONE'));
      expect((await server.fetch(`/v1/segmentations/${id}`, { method: 'DELETE' })).status).toBe(204);
      expect(await told(await server.fetch(`/v1/segmentations/${id}`))).toEqual(problem(404));
    }
  });

  it('lists in pages, latest first', async () => {
    await using server = await testServer();
    const ids = [];
    for (let i = 0; i < 3; i++) {
      const response = await server.fetch('/v1/segmentations?wait=9', post(form(short, { sentences: `n${i}` })));
      ids.unshift((await json(response)).id);
    }
    const first = await json(server.fetch('/v1/segmentations?limit=2'));
    const second = await json(server.fetch(first.next));
    expect([...first.segmentations, ...second.segmentations].map(({ id }) => id)).toEqual(ids);
    expect(second.next).toBeNull();
  });

  it('comes once for an idempotency key and equal content; other content is refused', async () => {
    await using server = await testServer();
    const key = { 'idempotency-key': 'k1' };
    const send = (fields: Record<string, string>) =>
      server.fetch('/v1/segmentations?wait=9', post(form(short, fields), key));
    const both = await Promise.all([send({ sentences: 'a' }), send({ sentences: 'a' })]);
    const [one, other] = await Promise.all(both.map(json));
    expect(one.id).toBe(other.id);
    expect((await json(send({ sentences: 'a' }))).id).toBe(one.id);
    expect(await told(await send({ sentences: 'b' }))).toEqual(problem(422, 'IDEMPOTENCY_KEY_REUSED'));
    expect((await json(server.fetch('/v1/segmentations'))).segmentations).toHaveLength(1);
  });
});

describe('requests that are refused', () => {
  it('each with its status, and the server stays ready', async () => {
    await using server = await testServer({ maxUpload: 200_000, maxSentences: 3, maxCharacters: 20, maxSeconds: 10 });
    const send = (body: FormData) => server.fetch('/v1/segmentations', post(body));
    const cases: [Promise<Response>, number][] = [
      [send(form(undefined, { sentences: 'a' })), 422],
      [send(form(Buffer.alloc(0), { sentences: 'a' })), 422],
      [send(form(Buffer.from('no video at all'), { sentences: 'a' })), 422],
      [send(form(short, {})), 422],
      [send(form(short, { sentences: ' ' })), 422],
      [send(form(short, { sentences: ['a', 'b', 'c', 'd'] })), 422],
      [send(form(short, { sentences: 'a'.repeat(21) })), 422],
      [send(form(short, { sentences: 'a', short_side: 'wide' })), 422],
      [send(form(short, { sentences: 'a', start: '3', end: '2' })), 422],
      [send(form(short, { sentences: 'a', unknown: '1' })), 422],
      [send(form(short, { sentences: 'a', __proto__x: '1' })), 422],
      [send(form(Buffer.alloc(300_000), { sentences: 'a' })), 413],
      [send(form(long, { sentences: 'a' })), 422],
      [
        server.fetch('/v1/segmentations', { method: 'POST', body: 'x', headers: { 'content-type': 'text/plain' } }),
        415,
      ],
      [
        server.fetch('/v1/segmentations', {
          method: 'POST',
          body: '{',
          headers: { 'content-type': 'application/json' },
        }),
        400,
      ],
      [
        server.fetch('/v1/segmentations', {
          method: 'POST',
          body: JSON.stringify({ url: 'http://127.0.0.1/', sentences: ['a'] }),
          headers: { 'content-type': 'application/json' },
        }),
        422,
      ],
      [
        server.fetch('/v1/segmentations', {
          method: 'POST',
          body: '['.repeat(100_000),
          headers: { 'content-type': 'application/json' },
        }),
        400,
      ],
      [server.fetch('/v1/segmentations/..%2f..%2fetc%2fpasswd'), 404],
      [server.fetch('/v1/segmentations/00000000000000000000000000000000'), 404],
      [server.fetch('/v1/segmentations?limit=0'), 400],
      [server.fetch('/nowhere'), 404],
    ];
    for (const [response, status] of cases) expect(await told(await response)).toEqual(problem(status));
    const ready = await server.fetch('/health/ready');
    expect([ready.status, await json(ready)]).toEqual([200, { status: 'ok', reasons: [] }]);
    expect((await json(server.fetch('/v1/segmentations'))).segmentations).toEqual([]);
  });

  it('of too many parts', async () => {
    await using server = await testServer();
    const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, 'x']));
    const response = await server.fetch('/v1/segmentations', post(form(undefined, fields)));
    expect(await told(response)).toEqual(problem(413));
  });

  it('because the queue is full: 503 with Retry-After, and ready stays', async () => {
    await using server = await testServer({ milliseconds: 50, jobs: 1, maxQueue: 1 });
    const send = () => server.fetch('/v1/segmentations', post(form(long, { sentences: 'a' })));
    expect((await send()).status).toBe(202);
    while (server.backend.order.length < 1) await sleep(10);
    expect((await send()).status).toBe(202);
    const refused = await send();
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await told(refused)).toEqual(problem(503, 'QUEUE_FULL'));
    expect((await server.fetch('/health/ready')).status).toBe(200);
  });

  it('because of their rate: 429 with Retry-After', async () => {
    await using server = await testServer({ rateLimit: 3 });
    const responses = await Promise.all(Array.from({ length: 8 }, () => server.fetch('/v1/models')));
    const limited = responses.filter(({ status }) => status === 429);
    expect(limited.length).toBeGreaterThanOrEqual(2);
    expect(limited[0]!.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await told(limited[0]!)).toEqual(problem(429, 'RATE_LIMITED'));
    expect((await server.fetch('/health/live')).status).toBe(200);
  });
});

describe('API keys', () => {
  it('are asked for, and a job is its key’s alone', async () => {
    await using server = await testServer({ apiKeys: ['one', 'two'] });
    const key = (name: string) => ({ authorization: `Bearer ${name}` });
    expect(await told(await server.fetch('/v1/models'))).toEqual(problem(401));
    expect(await told(await server.fetch('/v1/models', { headers: key('three') }))).toEqual(problem(401));
    expect((await server.fetch('/health/live')).status).toBe(200);
    const body = form(short, { sentences: 'a' });
    const made = await server.fetch('/v1/segmentations?wait=9', post(body, key('one')));
    const { links } = await json(made);
    expect((await server.fetch(links.self, { headers: key('one') })).status).toBe(200);
    for (const path of Object.values(links) as string[]) {
      expect(await told(await server.fetch(path, { headers: key('two') }))).toEqual(problem(404));
    }
    expect(await told(await server.fetch(links.self, { method: 'DELETE', headers: key('two') }))).toEqual(problem(404));
    const others = await server.fetch('/v1/segmentations', { headers: key('two') });
    expect(await json(others)).toEqual({ segmentations: [], next: null });
  });
});

describe('the server', () => {
  it('tells model, metrics and its own interface', async () => {
    await using server = await testServer();
    expect(await json(server.fetch('/v1/models'))).toMatchObject({
      models: [{ name: 'fake', short_side: 360 }],
    });
    await server.fetch('/v1/segmentations?wait=9', post(form(short, { sentences: 'a' })));
    const metrics = await (await server.fetch('/metrics')).text();
    expect(metrics).toMatch(/rvos_jobs_ended_total{state="done",code=""} 1/);
    expect(metrics).toMatch(/rvos_windows_total 1/);
    expect(metrics).toMatch(/rvos_job_queue_seconds_count 1/);
    expect(metrics).toMatch(/nodejs_eventloop_lag/);
    const response = await server.fetch('/openapi.json');
    expect(response.headers.get('x-content-type-options')).toBe('nosniff');
    const document = await json(response);
    expect(document.openapi).toBe('3.1.0');
    expect(Object.keys(document.paths).sort()).toEqual([
      '/health/live',
      '/health/ready',
      '/v1/models',
      '/v1/segmentations',
      '/v1/segmentations/{id}',
      '/v1/segmentations/{id}/contact-sheet',
      '/v1/segmentations/{id}/events',
      '/v1/segmentations/{id}/masks',
      '/v1/segmentations/{id}/video',
    ]);
    expect(Object.keys(document.paths['/v1/segmentations'].post.requestBody.content)).toContain('multipart/form-data');
  });

  it('leaves nothing of a client that goes away in the middle of its upload', async () => {
    await using server = await testServer();
    const controller = new AbortController();
    const body = new ReadableStream({
      async start(stream) {
        const head = '--b\r\ncontent-disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n';
        stream.enqueue(Buffer.from(head));
        stream.enqueue(Buffer.alloc(100_000));
        await sleep(200);
        controller.abort();
      },
    });
    const request = server.fetch('/v1/segmentations', {
      method: 'POST',
      body,
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
      signal: controller.signal,
      duplex: 'half',
    } as RequestInit);
    await expect(request).rejects.toThrow();
    const { readdir } = await import('node:fs/promises');
    for (let i = 0; i < 100 && (await readdir(join(server.data, 'uploads'))).length > 0; i++) await sleep(20);
    expect(await readdir(join(server.data, 'uploads'))).toEqual([]);
  });
});
