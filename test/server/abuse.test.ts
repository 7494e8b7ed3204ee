import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { form, json, testServer } from '../support/test-server.js';
import { ffmpeg, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);
beforeAll(async () => {
  folder = await videoFolder();
  const source = (size: string, seconds: number) => ['-f', 'lavfi', '-i', `testsrc2=size=${size}:rate=25:d=${seconds}`];
  await ffmpeg(...source('64x48', 0.2), '-c:v', 'mpeg4', at('short.mp4'));
  await ffmpeg(...source('64x48', 40), '-c:v', 'mpeg4', at('long.mp4'));
  // A stream without a container tells nothing of its length.
  await ffmpeg(...source('64x48', 8), '-c:v', 'mpeg4', '-f', 'm4v', at('bare.m4v'));
  await ffmpeg('-f', 'lavfi', '-i', 'color=black:s=20000x9000:r=1:d=1', '-c:v', 'png', at('huge.mkv'));
});
afterAll(() => folder.remove());

type Server = Awaited<ReturnType<typeof testServer>>;
const post = (body: FormData) => ({ method: 'POST', body });
const wanted = { sentences: 'a', outputs: 'masks' };

/** What the server answers to bytes that no client library would send. */
async function raw(server: Server, send: (write: (data: string | Buffer) => Promise<boolean>) => Promise<void>) {
  const { hostname, port } = new URL(server.address);
  const socket = connect(Number(port), hostname);
  let answer = '';
  socket.on('data', (data) => {
    answer += data;
  });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined);
  const write = async (data: string | Buffer) => {
    if (socket.destroyed || socket.writableEnded || answer !== '') return false;
    if (!socket.write(data)) await sleep(5);
    return !socket.destroyed;
  };
  await send(write);
  await closed;
  return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]), answer };
}

async function isReady(server: Server): Promise<void> {
  expect((await server.fetch('/health/ready')).status).toBe(200);
  const body = form(await readFile(at('short.mp4')), wanted);
  expect(await json(server.fetch('/v1/segmentations?wait=30', post(body)))).toMatchObject({ state: 'done' });
  expect(await readdir(join(server.data, 'uploads'))).toEqual([]);
}

const head = (...headers: string[]) => ['POST /v1/segmentations HTTP/1.1', 'host: x', ...headers, '', ''].join('\r\n');
const multipart = 'content-type: multipart/form-data; boundary=b';
const videoPart = '--b\r\ncontent-disposition: form-data; name="video"; filename="a.mp4"\r\n\r\n';

describe('bodies and headers', () => {
  it('too large, whether they say so or not, are refused and cut off', async () => {
    await using server = await testServer({ maxUpload: 1e6, maxParts: 10 });
    const declared = await raw(server, async (write) => {
      await write(head(multipart, 'content-length: 100000000'));
    });
    expect(declared.status).toBe(413);
    let sent = 0;
    const endless = await raw(server, async (write) => {
      await write(head(multipart, 'transfer-encoding: chunked'));
      const chunk = (data: Buffer | string) => `${data.length.toString(16)}\r\n${data}\r\n`;
      await write(chunk(videoPart));
      const piece = Buffer.from(chunk('x'.repeat(65_536)));
      while (await write(piece)) sent += piece.length;
    });
    expect(endless.status).toBe(413);
    expect(sent).toBeLessThan(100e6);
    await isReady(server);
  });

  it('of 100,000 parts, or deep JSON, are refused', async () => {
    await using server = await testServer();
    const part = (i: number) => `--b\r\ncontent-disposition: form-data; name="f${i}"\r\n\r\nx\r\n`;
    const body = Array.from({ length: 100_000 }, (_, i) => part(i)).join('');
    const many = await server.fetch('/v1/segmentations', {
      ...{ method: 'POST', body: `${body}--b--\r\n` },
      headers: { 'content-type': 'multipart/form-data; boundary=b' },
    });
    expect([many.status, (await json(many)).code]).toEqual([413, 'TOO_MANY_PARTS']);
    const deep = await server.fetch('/v1/segmentations', {
      ...{ method: 'POST', body: `{"sentences":${'['.repeat(50_000)}${']'.repeat(50_000)}}` },
      headers: { 'content-type': 'application/json' },
    });
    expect(deep.status).toBe(422);
    await isReady(server);
  });

  it('that are no multipart bodies are a 400', async () => {
    await using server = await testServer();
    const send = (type: string, body: string) =>
      server.fetch('/v1/segmentations', { method: 'POST', body, headers: { 'content-type': type } });
    for (const [type, body] of [
      ['multipart/form-data', 'x'],
      ['multipart/form-data; boundary=b', 'x'],
      ['multipart/form-data; boundary=b', `${videoPart}half a video`],
      ['multipart/form-data; boundary=b', '--b\r\n\r\n\r\n'],
    ] as const) {
      const answer = await send(type, body);
      expect([type, body, answer.status]).toEqual([type, body, 400]);
    }
    await isReady(server);
  });

  it('that come slowly are answered 408 and cut off', async () => {
    await using server = await testServer({ headerSeconds: 0.5, bodyGraceSeconds: 0.5, minBodyRate: 1000 });
    const headers = await raw(server, async (write) => {
      await write('POST /v1/segmentations HTTP/1.1\r\n');
      while (await write('x-more: 1\r\n')) await sleep(100);
    });
    expect(headers.status).toBe(408);
    const body = await raw(server, async (write) => {
      await write(head(multipart, 'content-length: 100000') + videoPart);
      while (await write('x')) await sleep(50);
    });
    expect([body.status, JSON.parse(body.answer.split('\r\n\r\n')[1]!).code]).toEqual([408, 'TOO_SLOW']);
    await isReady(server);
  });

  it('that try to smuggle lines or paths get nowhere', async () => {
    await using server = await testServer();
    const header = await raw(server, async (write) => {
      await write(
        'GET /v1/models HTTP/1.1\r\nhost: x\r\nidempotency-key: a\rset-cookie: b\r\nconnection: close\r\n\r\n',
      );
    });
    expect(header.status).toBe(400);
    const query = await raw(server, async (write) => {
      await write('GET /v1/segmentations/a%0d%0aset-cookie:%20b HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n');
    });
    expect(query.status).toBe(404);
    expect(query.answer).not.toMatch(/^set-cookie/im);
    for (const id of ['..%2f..%2fstore', '%2e%2e', '....//', 'x'.repeat(5000), '%00']) {
      for (const tail of ['', '/masks', '/video']) {
        expect([400, 404]).toContain((await server.fetch(`/v1/segmentations/${id}${tail}`)).status);
      }
    }
    const body = new FormData();
    body.append('video', new Blob([await readFile(at('short.mp4'))]), '../../../../tmp/rvos-escaped.mp4');
    body.append('sentences', 'a');
    expect(await json(server.fetch('/v1/segmentations?wait=30', post(body)))).toMatchObject({ state: 'done' });
    expect((await readdir(server.data)).sort()).toEqual(['in-use', 'results', 'store', 'uploads', 'work']);
    await isReady(server);
  });
});

describe('videos', () => {
  it('that are none, name other files, or are larger than they look are refused', async () => {
    await using server = await testServer({ maxFrames: 100, maxPixels: 2 ** 22 });
    const secret = at('short.mp4');
    const bodies: [string, Buffer][] = [
      ['bomb.gz', gzipSync(Buffer.alloc(50e6))],
      ['list.m3u8', Buffer.from(`#EXTM3U\n#EXTINF:1,\nfile://${secret}\n#EXT-X-ENDLIST\n`)],
      ['list.txt', Buffer.from(`ffconcat version 1.0\nfile '${secret}'\n`)],
      ['list.sdp', Buffer.from('v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n')],
      ['huge.mkv', await readFile(at('huge.mkv'))],
      ['long.mp4', await readFile(at('long.mp4'))],
    ];
    for (const [name, data] of bodies) {
      const body = form(undefined, wanted);
      body.append('video', new Blob([data as Uint8Array<ArrayBuffer>]), name);
      const answer = await server.fetch('/v1/segmentations', post(body));
      const told = await json(answer);
      expect([name, answer.status]).toEqual([name, 422]);
      expect(JSON.stringify(told)).not.toContain(folder.path);
      expect(JSON.stringify(told)).not.toContain(server.data);
    }
    const bare = form(await readFile(at('bare.m4v')), wanted);
    expect(await json(server.fetch('/v1/segmentations?wait=60', post(bare)))).toMatchObject({
      ...{ state: 'failed', error: { code: 'LIMIT_EXCEEDED' } },
    });
    await isReady(server);
  });
});

it('a method that an address does not take is a 405, with those that it takes', async () => {
  await using server = await testServer();
  const answer = await server.fetch('/v1/segmentations', { method: 'PUT' });
  expect([answer.status, answer.headers.get('allow')]).toEqual([405, 'POST, GET']);
  expect((await server.fetch('/health/live', { method: 'QUERY' })).status).toBe(405);
  expect((await json(server.fetch('/nowhere', { method: 'POST' }))).status).toBe(404);
  expect((await server.fetch('/health/ready', { method: 'HEAD' })).status).toBe(200);
});
