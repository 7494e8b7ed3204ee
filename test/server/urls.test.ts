import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Connector, Resolver } from '../../src/download/download-policy.js';
import { json, testServer } from '../support/test-server.js';
import { ffmpeg, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
let video: Buffer;
let files: Server;
let port: number;
const routes = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
/** Addresses that were connected to. */
const connected: string[] = [];

beforeAll(async () => {
  folder = await videoFolder();
  const path = `${folder.path}/short.mp4`;
  await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=25:duration=0.2', '-c:v', 'mpeg4', path);
  video = await (await import('node:fs/promises')).readFile(path);
  files = createServer((request, response) => {
    const route = routes.get(request.url!);
    if (route) route(request, response);
    else response.writeHead(404).end();
  });
  await new Promise<void>((resolve) => files.listen(0, '127.0.0.1', resolve));
  port = (files.address() as AddressInfo).port;
});
afterAll(async () => {
  files.closeAllConnections();
  files.close();
  await folder.remove();
});
beforeEach(() => {
  connected.length = 0;
  routes.clear();
  routes.set('/v.mp4', (_, response) => response.end(video));
});

const names: Record<string, string[]> = {
  'videos.example': ['93.184.216.34'],
  'inner.example': ['10.0.0.7'],
  'mapped.example': ['::ffff:127.0.0.1'],
};
let asked = 0;
/** The system's resolver: rebind.example is public at first and loopback from then on. */
const resolve: Resolver = async (host) => {
  const found = host === 'rebind.example' ? [asked++ === 0 ? '93.184.216.34' : '127.0.0.1'] : (names[host] ?? []);
  return found.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));
};
/** Any address that passed the checks leads to the server above. */
const connect: Connector = ({ hostname }, callback) => {
  connected.push(hostname);
  const socket = connectTcp(port, '127.0.0.1', () => callback(null, socket));
  socket.on('error', (error) => callback(error, null));
};
const fetching = { allowUrls: '*', resolve, connect } as const;
const request = (url: string, more: object = {}) => ({
  method: 'POST',
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify({ url, sentences: ['a'], outputs: ['masks'], ...more }),
});

describe('a video by its URL', () => {
  it('is fetched and segmented, through redirects to other public hosts', async () => {
    await using server = await testServer(fetching);
    routes.set('/moved', (_, response) => response.writeHead(302, { location: 'http://videos.example/v.mp4' }).end());
    const done = await json(server.fetch('/v1/segmentations?wait=30', request('http://videos.example/moved')));
    expect(done).toMatchObject({ state: 'done', video: { frames: 5 } });
    expect(connected).toContain('93.184.216.34');
  });

  it('is refused where the server takes none, or not of this host', async () => {
    await using none = await testServer();
    expect(await json(none.fetch('/v1/segmentations', request('http://videos.example/v.mp4')))).toMatchObject({
      ...{ status: 422, code: 'URL_REFUSED' },
    });
    await using some = await testServer({ ...fetching, allowUrls: ['videos.example'] });
    expect(await json(some.fetch('/v1/segmentations', request('http://inner.example/v.mp4')))).toMatchObject({
      ...{ status: 422, code: 'ADDRESS_REFUSED' },
    });
    expect(connected).toEqual([]);
  });

  it('of this machine or a private network is refused at once, however it is written', async () => {
    await using server = await testServer(fetching);
    const refused = [
      ...['http://127.0.0.1/v.mp4', 'http://localhost/v.mp4', 'http://2130706433/v.mp4', 'http://0177.0.0.1/v.mp4'],
      ...[
        'http://0x7f.1/v.mp4',
        'http://10.1.2.3/v',
        'http://192.168.0.1/v',
        'http://169.254.169.254/latest/meta-data',
      ],
      ...[
        'http://[::1]/v',
        'http://[::ffff:127.0.0.1]/v',
        'http://[fe80::1]/v',
        'http://[fd00::1]/v',
        'http://0.0.0.0/v',
      ],
    ];
    for (const url of refused) {
      const answer = await server.fetch('/v1/segmentations', request(url));
      expect([url, await json(answer)]).toEqual([
        url,
        expect.objectContaining({ status: 422, code: 'ADDRESS_REFUSED' }),
      ]);
    }
    for (const url of [
      'file:///etc/passwd',
      'ftp://videos.example/v',
      'data:video/mp4;base64,AAAA',
      'concat:a|b',
      '/etc/passwd',
    ]) {
      expect(await json(server.fetch('/v1/segmentations', request(url)))).toMatchObject({ status: 422 });
    }
    expect(connected).toEqual([]);
    expect((await server.fetch('/health/ready')).status).toBe(200);
  });

  it('is refused when a name leads inside, a redirect does, or the name changes its mind', async () => {
    await using server = await testServer(fetching);
    routes.set('/inside', (_, response) => response.writeHead(302, { location: 'http://127.0.0.1/v.mp4' }).end());
    routes.set('/name', (_, response) => response.writeHead(302, { location: 'http://mapped.example/v.mp4' }).end());
    routes.set('/again', (_, response) => {
      response.writeHead(302, { location: 'http://rebind.example/v.mp4', connection: 'close' }).end();
    });
    for (const url of [
      'http://inner.example/v',
      'http://videos.example/inside',
      'http://videos.example/name',
      'http://rebind.example/again',
    ]) {
      const failed = await json(server.fetch('/v1/segmentations?wait=30', request(url)));
      expect(failed).toMatchObject({ state: 'failed', error: { code: 'ADDRESS_REFUSED' } });
    }
    expect(new Set(connected)).toEqual(new Set(['93.184.216.34']));
  });

  it('has bounds of size and time, and must be a video', async () => {
    await using server = await testServer({ ...fetching, maxUpload: 100_000, urlSeconds: 1 });
    routes.set('/endless', (_, response) => {
      const write = () => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        if (!response.destroyed) response.once('drain', write);
      };
      write();
    });
    routes.set('/silent', (_, response) => response.writeHead(200).write('x'));
    routes.set('/list.m3u8', (_, response) =>
      response.end('#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n'),
    );
    const codes = {
      '/endless': 'LIMIT_EXCEEDED',
      '/silent': 'LIMIT_EXCEEDED',
      '/list.m3u8': 'NOT_A_VIDEO',
      '/none': 'DOWNLOAD_FAILED',
    };
    for (const [path, code] of Object.entries(codes)) {
      const failed = await json(server.fetch('/v1/segmentations?wait=30', request(`http://videos.example${path}`)));
      expect([path, failed]).toEqual([
        path,
        expect.objectContaining({ state: 'failed', error: expect.objectContaining({ code }) }),
      ]);
    }
    expect((await server.fetch('/health/ready')).status).toBe(200);
  });
});
