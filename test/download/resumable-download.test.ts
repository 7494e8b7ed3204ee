import { createHash, randomBytes } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DownloadPolicy, videoLimits } from '../../src/download/download-policy.js';
import { HttpClient } from '../../src/download/http-client.js';
import type { RemoteFile } from '../../src/download/remote-file.js';
import { downloadResumable, type TransferOptions } from '../../src/download/resumable-download.js';
import { type Fault, type ImitationHub, startImitationHub } from '../support/imitation-hub.mjs';

const contents = randomBytes(300_000);
const sha256 = createHash('sha256').update(contents).digest('hex');
const policy: DownloadPolicy = { ...videoLimits, addresses: 'any', proxies: false, idleSeconds: 1 };

let hub: ImitationHub;
let folder: string;
let path: string;
let client: HttpClient;
beforeEach(async () => {
  hub = await startImitationHub({ files: { 'weights.pt': contents } });
  folder = await mkdtemp(join(tmpdir(), 'rvos-resume-'));
  path = join(folder, 'weights.pt');
  client = new HttpClient(policy);
});
afterEach(async () => {
  await client.close();
  await hub.close();
  await rm(folder, { recursive: true });
});

const fetching = (file: Partial<RemoteFile> = {}, options: TransferOptions = {}) =>
  downloadResumable(
    client,
    { path: 'weights.pt', address: () => `${hub.address}/weights.pt`, bytes: contents.length, sha256, ...file },
    path,
    { firstPauseSeconds: 0.01, ...options },
  );
const ranges = () => hub.seen.map(({ range }) => range);
const once =
  (fault: ReturnType<Fault>, times = 1): Fault =>
  ({ count }) =>
    count < times ? fault : undefined;
const failed = (text: RegExp) =>
  expect.objectContaining({ code: 'DOWNLOAD_FAILED', message: expect.stringMatching(text) });
const arrived = async () => {
  expect((await readFile(path)).equals(contents)).toBe(true);
  expect(await readdir(folder)).toEqual(['weights.pt']);
};

describe('a resumable download', () => {
  it('verifies size and hash, gives the file its name, and takes it as it is the next time', async () => {
    const seen: [number, number | undefined][] = [];
    expect(await fetching({}, { onBytes: (done, total) => seen.push([done, total]) })).toBe(sha256);
    await arrived();
    expect(seen.at(-1)).toEqual([contents.length, contents.length]);
    await fetching();
    expect(hub.seen).toHaveLength(1);
  });

  it('needs neither size nor hash of the source, and says the hash', async () => {
    expect(await fetching({ bytes: undefined, sha256: undefined })).toBe(sha256);
    await arrived();
  });

  it('goes on where the connection broke, as often as it gets on', async () => {
    hub.fault = ({ count }) => (count < 9 ? { dropAfter: 30_000 } : undefined);
    const retries: string[] = [];
    await fetching({}, { retries: 1, onRetry: (reason) => retries.push(reason) });
    await arrived();
    expect(retries.length).toBeGreaterThanOrEqual(9);
    const starts = ranges().map((range) => Number(/bytes=(\d+)/.exec(range ?? '')?.[1]));
    expect(starts).toEqual([...starts].sort((a, b) => a - b));
    expect(starts.at(-1)).toBeGreaterThanOrEqual(200_000);
  });

  it('goes on in another run after it was aborted', async () => {
    hub.fault = once({ stall: 100_000 });
    const controller = new AbortController();
    const first = fetching({}, { signal: controller.signal, onBytes: (done) => done >= 100_000 && controller.abort() });
    await expect(first).rejects.toMatchObject({ code: 'ABORTED' });
    expect((await readdir(folder)).sort()).toEqual(['weights.pt.partial', 'weights.pt.state']);
    await fetching();
    expect(ranges().at(-1)).toBe('bytes=100000-');
    await arrived();
  });

  it('fetches large files in parts, several at a time, each part going on by itself', async () => {
    hub.fault = ({ range, count }) =>
      range?.startsWith('bytes=100000-') && count < 5 ? { dropAfter: 20_000 } : undefined;
    await fetching({}, { parallelAbove: 1000, partBytes: 50_000, parallel: 3 });
    await arrived();
    expect(ranges()).toContain('bytes=0-49999');
    expect(ranges()).toContain('bytes=250000-');
    expect(ranges().some((range) => /^bytes=1[1-4]\d+-149999$/.test(range ?? ''))).toBe(true);
  });

  it('believes Content-Range where a range is answered with 200', async () => {
    hub.fault = ({ count }) => (count === 0 ? { dropAfter: 50_000 } : { okForRange: true });
    await fetching();
    await arrived();
    expect(hub.seen).toHaveLength(2);
  });

  it('begins anew where ranges are ignored', async () => {
    hub.fault = ({ count }) => (count === 0 ? { dropAfter: 50_000 } : { ignoreRange: true });
    await fetching();
    await arrived();
    hub.fault = () => ({ ignoreRange: true });
    await rm(path);
    await fetching({}, { parallelAbove: 1000, partBytes: 100_000 });
    await arrived();
  });

  it('refuses 206 without Content-Range, and bytes that nobody asked for', async () => {
    hub.fault = () => ({ status: 206, body: 'x' });
    await expect(fetching()).rejects.toEqual(failed(/206 without Content-Range/));
    hub.fault = () => ({ headers: { 'content-range': 'bytes 7-299999/300000' } });
    await expect(fetching({}, { retries: 1 })).rejects.toEqual(failed(/nobody asked for/));
  });

  it('begins anew when the file changed between two answers', async () => {
    hub.fault = ({ count }) =>
      count === 0 ? { dropAfter: 50_000, etag: '"old"', bytes: randomBytes(300_000) } : undefined;
    await fetching();
    await arrived();
    expect(hub.seen).toHaveLength(3);
  });

  it('never keeps a file of another hash or size', async () => {
    hub.fault = () => ({ bytes: Buffer.from(contents).fill(0, 0, 9) });
    await expect(fetching()).rejects.toEqual(failed(/SHA-256 [0-9a-f]{64} instead of/));
    expect(await readdir(folder)).toEqual([]);
    expect(hub.seen).toHaveLength(1);
    hub.fault = () => ({ bytes: contents.subarray(0, 1000) });
    await expect(fetching()).rejects.toEqual(failed(/offers 1,000 bytes, the source's list says 300,000 bytes/));
    hub.fault = () => undefined;
    await expect(fetching({ sha256: undefined, gitBlob: '0'.repeat(40) })).rejects.toEqual(failed(/git hash/));
    const gitBlob = createHash('sha1').update(`blob ${contents.length}\0`).update(contents).digest('hex');
    await fetching({ sha256: undefined, gitBlob });
    await arrived();
  });

  it('fetches once more what was put together from pieces and has the wrong hash', async () => {
    hub.fault = ({ count }) =>
      count === 0 ? { dropAfter: 50_000, bytes: Buffer.alloc(300_000), etag: '"a"' } : { etag: '"a"' };
    await fetching();
    await arrived();
  });

  it('ends a body that does not', async () => {
    hub.fault = (_, response) => {
      response.writeHead(200, { 'content-type': 'application/octet-stream' });
      const timer = setInterval(() => response.write(Buffer.alloc(1 << 16)), 1);
      response.on('close', () => clearInterval(timer));
      return true;
    };
    await expect(fetching()).rejects.toEqual(failed(/sends more than the 300,000 bytes/));
    client = new HttpClient({ ...policy, maxBytes: 500_000 });
    await expect(fetching({ bytes: undefined })).rejects.toMatchObject({ code: 'LIMIT_EXCEEDED' });
  });

  it('tries again when nothing comes for a while', async () => {
    hub.fault = once({ stall: 1000 });
    await fetching();
    await arrived();
  });

  it.each([401, 403, 404])('says at once what %s means', async (status) => {
    hub.fault = () => ({ status });
    await expect(fetching()).rejects.toEqual(failed(new RegExp(`answers ${status}`)));
    expect(hub.seen).toHaveLength(1);
  });

  it.each([429, 503])('waits at %s as long as the server says', async (status) => {
    hub.fault = once({ status, headers: { 'retry-after': 0 } }, 3);
    const waits: number[] = [];
    await fetching({}, { firstPauseSeconds: 60, onRetry: (_, seconds) => waits.push(seconds) });
    await arrived();
    expect(waits).toEqual([0, 0, 0]);
  });

  it('gives up after five tries without a byte', async () => {
    hub.fault = () => ({ status: 503 });
    await expect(fetching()).rejects.toEqual(failed(/answers 503/));
    expect(hub.seen).toHaveLength(6);
  });

  it('takes no page and no JSON error for the file', async () => {
    hub.fault = () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>log in</html>' });
    await expect(fetching()).rejects.toEqual(failed(/page instead of the file/));
    await expect(fetching({ bytes: undefined, sha256: undefined })).rejects.toEqual(failed(/page instead of the file/));
    const body = JSON.stringify({ Code: 10010, Message: 'no permission', Success: false });
    const headers = { 'content-type': 'application/json', 'content-length': body.length };
    hub.fault = () => ({ status: 200, headers, body });
    await expect(fetching({ bytes: undefined, sha256: undefined })).rejects.toEqual(failed(/no permission/));
    await expect(fetching()).rejects.toEqual(failed(/no permission/));
    expect(await readdir(folder)).not.toContain('weights.pt');
  });
});
