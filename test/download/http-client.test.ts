import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, connect as connectTcp } from 'node:net';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Connector, type DownloadPolicy, videoLimits } from '../../src/download/download-policy.js';
import { HttpClient } from '../../src/download/http-client.js';
import { isPublicAddress } from '../../src/download/public-address.js';

/** What the server does next, by path; `seen` has each request's host and headers. */
const routes = new Map<string, (request: IncomingMessage, response: ServerResponse) => void>();
const seen: { host: string; path: string; headers: IncomingMessage['headers'] }[] = [];
let server: Server;
let port: number;
beforeAll(async () => {
  server = createServer((request, response) => {
    const path = request.url!;
    seen.push({ host: request.headers.host!, path, headers: request.headers });
    const route = routes.get(path);
    if (route) route(request, response);
    else response.end(`body of ${path}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  port = (server.address() as AddressInfo).port;
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(() => {
  seen.length = 0;
  routes.clear();
  connected.length = 0;
});
afterEach(() => vi.unstubAllEnvs());

/** Addresses that were connected to. */
const connected: string[] = [];
/** Any public address leads to the server above. */
const toServer: Connector = ({ hostname }, callback) => {
  connected.push(hostname);
  const socket = connectTcp(port, '127.0.0.1', () => callback(null, socket));
  socket.on('error', (error) => callback(error, null));
};
const names: Record<string, string[]> = {
  'public.example': ['93.184.216.34'],
  'files.example': ['2606:2800:220:1::1'],
  'inner.example': ['10.0.0.7'],
  'both.example': ['169.254.169.254', '93.184.216.35'],
  'nothing.example': [],
};
const strict: DownloadPolicy = {
  ...videoLimits,
  addresses: 'public',
  proxies: false,
  connect: toServer,
  resolve: async (hostname) =>
    (names[hostname] ?? []).map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
};
const get = async (address: string, policy: Partial<DownloadPolicy> = {}, headers = {}) => {
  await using client = new HttpClient({ ...strict, ...policy });
  const response = await client.get(address, { headers });
  const text = Buffer.concat(await response.body.toArray()).toString();
  return { ...response, text };
};
const redirect = (from: string, to: string) => {
  routes.set(from, (_, response) => response.writeHead(302, { location: to }).end());
};

describe('addresses of the public internet', () => {
  it.each(['93.184.216.34', '1.1.1.1', '2606:2800:220:1::1', '::ffff:8.8.8.8', '64:ff9b::808:808'])(
    '%s is one',
    (address) => {
      expect(isPublicAddress(address)).toBe(true);
    },
  );
  it.each([
    ...[
      '127.0.0.1',
      '127.8.8.8',
      '10.1.2.3',
      '172.16.0.1',
      '172.31.255.255',
      '192.168.1.1',
      '169.254.169.254',
      '0.0.0.0',
    ],
    ...[
      '100.64.0.1',
      '192.0.0.1',
      '198.18.0.1',
      '224.0.0.1',
      '240.0.0.1',
      '255.255.255.255',
      '::',
      '::1',
      'fe80::1',
      'fc00::1',
    ],
    ...[
      'fd12::1',
      'ff02::1',
      '::ffff:127.0.0.1',
      '::ffff:a00:1',
      '64:ff9b::7f00:1',
      '2002:7f00:1::',
      '2001:db8::1',
      'name',
    ],
  ])('%s is none', (address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe('a request under the strict policy', () => {
  it('reaches a public host by the address that was resolved and checked', async () => {
    const { status, text } = await get('http://public.example/a');
    expect([status, text]).toEqual([200, 'body of /a']);
    expect(connected).toEqual(['93.184.216.34']);
    expect(seen[0]).toMatchObject({ host: 'public.example', headers: { 'accept-encoding': 'identity' } });
    await get('http://both.example/a');
    expect(connected.at(-1)).toBe('93.184.216.35');
  });

  it.each([
    ...['http://127.0.0.1/', 'http://2130706433/', 'http://0x7f000001/', 'http://0177.0.0.1/', 'http://127.1/'],
    ...[
      'http://localhost/',
      'http://a.localhost./',
      'http://[::1]/',
      'http://[::ffff:127.0.0.1]/',
      'http://[::ffff:7f00:1]/',
    ],
    ...['http://169.254.169.254/latest/meta-data', 'http://inner.example/', 'http://0/', 'http://[fe80::1]/'],
  ])('never reaches %s, itself or by redirect', async (address) => {
    await expect(get(address)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    redirect('/away', address);
    await expect(get('http://public.example/away')).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(seen.map(({ path }) => path)).toEqual(['/away']);
  });

  it('gains nothing from a name that changes its mind', async () => {
    let asked = 0;
    const resolve: DownloadPolicy['resolve'] = async () => [
      { address: asked++ === 0 ? '93.184.216.34' : '127.0.0.1', family: 4 },
    ];
    routes.set('/closing', (_, response) => response.writeHead(302, { location: '/again', connection: 'close' }).end());
    await expect(get('http://public.example/closing', { resolve })).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(connected).toEqual(['93.184.216.34']);
  });

  it('follows so many redirects, to http only, and says of which kind a failure is', async () => {
    for (let i = 0; i < 6; i++) redirect(`/hop${i}`, `/hop${i + 1}`);
    expect((await get('http://public.example/hop1')).hops.map(({ status }) => status)).toEqual([
      302, 302, 302, 302, 302,
    ]);
    await expect(get('http://public.example/hop0')).rejects.toMatchObject({ code: 'DOWNLOAD_FAILED' });
    redirect('/file', 'file:///etc/passwd');
    await expect(get('http://public.example/file')).rejects.toMatchObject({ code: 'BAD_ARGUMENT' });
    await expect(get('http://nothing.example/')).rejects.toMatchObject({
      code: 'DOWNLOAD_FAILED',
      message: expect.stringContaining('has no address'),
    });
    routes.set('/zip', (_, response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'));
    await expect(get('http://public.example/zip')).rejects.toThrow('compressed');
  });

  it('keeps to lists of hosts', async () => {
    const allowed = { allowHosts: ['example'], denyHosts: ['files.example'] };
    expect((await get('http://public.example/', allowed)).status).toBe(200);
    await expect(get('http://files.example/', allowed)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    await expect(get('http://public.example/', { allowHosts: ['lic.example'] })).rejects.toMatchObject({
      code: 'ADDRESS_REFUSED',
    });
    redirect('/other', 'http://files.example/x');
    await expect(get('http://public.example/other', allowed)).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
  });

  it('gives each host its own headers, and a password to its host only', async () => {
    redirect('/moved', 'http://files.example/there');
    const headers = (url: URL): Record<string, string> =>
      url.hostname === 'public.example' ? { authorization: 'Bearer secret', cookie: 'm_session_id=secret' } : {};
    await get('http://public.example/moved', { headers }, { range: 'bytes=1-' });
    expect(
      seen.map((request) => [
        request.host,
        request.headers.authorization,
        request.headers.cookie,
        request.headers.range,
      ]),
    ).toEqual([
      ['public.example', 'Bearer secret', 'm_session_id=secret', 'bytes=1-'],
      ['files.example', undefined, undefined, 'bytes=1-'],
    ]);
    seen.length = 0;
    await get('http://me:word@public.example/moved');
    expect(seen.map((request) => request.headers.authorization)).toEqual([
      `Basic ${Buffer.from('me:word').toString('base64')}`,
      undefined,
    ]);
  });
});

describe('proxy variables', () => {
  const proxied: string[] = [];
  let proxy: Server;
  beforeAll(async () => {
    proxy = createServer((request, response) => {
      proxied.push(request.url!);
      response.end('by proxy');
    });
    await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  });
  afterAll(() => {
    proxy.closeAllConnections();
    proxy.close();
  });
  beforeEach(() => {
    proxied.length = 0;
    for (const name of ['http_proxy', 'HTTP_PROXY', 'no_proxy', 'NO_PROXY']) vi.stubEnv(name, '');
    vi.stubEnv('http_proxy', `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`);
  });

  it('are followed only where the policy says so, NO_PROXY included', async () => {
    expect((await get('http://public.example/a')).text).toBe('body of /a');
    expect((await get('http://public.example/a', { proxies: true })).text).toBe('by proxy');
    expect(proxied).toEqual(['http://public.example/a']);
    vi.stubEnv('no_proxy', 'public.example');
    expect((await get('http://public.example/a', { proxies: true })).text).toBe('body of /a');
  });

  it('do not lead to an address that the URL itself shows to be private', async () => {
    await expect(get('http://10.0.0.1/', { proxies: true })).rejects.toMatchObject({ code: 'ADDRESS_REFUSED' });
    expect(proxied).toEqual([]);
  });
});
