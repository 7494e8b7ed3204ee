import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { RvosError } from '../../src/errors.js';
import { diskFull } from '../../src/files/output-error.js';
import { type JobStore, LmdbJobStore } from '../../src/server/index.js';
import { form, json, testServer } from '../support/test-server.js';
import { ffmpeg, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
let short: Buffer;
let long: Buffer;
beforeAll(async () => {
  folder = await videoFolder();
  const make = async (name: string, seconds: number) => {
    const path = join(folder.path, name);
    await ffmpeg('-f', 'lavfi', '-i', `testsrc2=size=64x48:rate=25:duration=${seconds}`, '-c:v', 'mpeg4', path);
    return readFile(path);
  };
  [short, long] = [await make('short.mp4', 0.4), await make('long.mp4', 20)];
});
afterAll(() => folder.remove());
afterEach(() => vi.restoreAllMocks());

const wanted = { sentences: 'a', outputs: 'masks' };
const post = (video: Buffer) => ({ method: 'POST', body: form(video, wanted) });
const problem = (status: number, code: string) => expect.objectContaining({ status, code });

/** A store that fails while it is told to, as on a full disk. */
async function failingStore(path: string) {
  const store = await LmdbJobStore.open(path);
  const fails = { writes: false };
  const writes: (keyof JobStore)[] = ['add', 'change', 'remove', 'checkWritable'];
  for (const name of writes) {
    const write = (store[name] as (...args: unknown[]) => Promise<unknown>).bind(store);
    Object.assign(store, {
      [name]: (...args: unknown[]) => (fails.writes ? Promise.reject(diskFull(path)) : write(...args)),
    });
  }
  return { store, fails };
}

describe('a fault', () => {
  it('of the device fails the job that met it, with its code, and no other', async () => {
    await using server = await testServer();
    const segment = server.backend.segment.bind(server.backend);
    let calls = 0;
    server.backend.segment = async (...args) => {
      if (calls++ === 1) throw new RvosError('OUT_OF_MEMORY', 'the GPU has no memory left', 'Use a smaller size.');
      return segment(...args);
    };
    const answers = [];
    for (let i = 0; i < 3; i++) answers.push(await json(server.fetch('/v1/segmentations?wait=30', post(short))));
    expect(answers.map(({ state, error }) => [state, error?.code])).toEqual([
      ['done', undefined],
      ['failed', 'OUT_OF_MEMORY'],
      ['done', undefined],
    ]);
    expect((await server.fetch('/health/ready')).status).toBe(200);
    expect(await readdir(join(server.data, 'work'))).toEqual([]);
  });

  it('of the store refuses new jobs with 503, and those that run end once it is mended', async () => {
    const { store, fails } = await failingStore(join(folder.path, 'store'));
    await using server = await testServer({ store, milliseconds: 100 });
    const { id } = await json(server.fetch('/v1/segmentations', post(short)));
    while ((await json(server.fetch(`/v1/segmentations/${id}`))).state !== 'running') await sleep(5);
    fails.writes = true;
    const refused = await server.fetch('/v1/segmentations', post(short));
    expect(refused.headers.get('retry-after')).toMatch(/^\d+$/);
    expect(await json(refused)).toEqual(problem(503, 'DISK_FULL'));
    expect((await json(server.fetch('/health/ready'))).reasons).toEqual(['the job store cannot be written']);
    await sleep(700);
    expect(await json(server.fetch(`/v1/segmentations/${id}`))).toMatchObject({ state: 'running' });
    fails.writes = false;
    await (await server.fetch(`/v1/segmentations/${id}/events`)).text();
    expect(await json(server.fetch(`/v1/segmentations/${id}`))).toMatchObject({ state: 'done' });
    expect((await server.fetch('/health/ready')).status).toBe(200);
    expect(await (await server.fetch('/metrics')).text()).toMatch(/rvos_store_errors_total [1-9]/);
  });

  it('of the disk, full while a job runs, fails it with DISK_FULL; new ones are refused', async () => {
    await using server = await testServer({ minFreeDisk: 1e6, milliseconds: 100 });
    const { folders } = server.server.jobs.options;
    const { id } = await json(server.fetch('/v1/segmentations', post(long)));
    vi.spyOn(folders, 'freeBytes').mockResolvedValue(1000);
    await (await server.fetch(`/v1/segmentations/${id}/events`)).text();
    expect(await json(server.fetch(`/v1/segmentations/${id}`))).toMatchObject({
      ...{ state: 'failed', error: { code: 'DISK_FULL' } },
    });
    expect(await json(server.fetch('/v1/segmentations', post(short)))).toEqual(problem(503, 'DISK_FULL'));
    expect((await server.fetch('/health/ready')).status).toBe(503);
    vi.restoreAllMocks();
    expect(await json(server.fetch('/v1/segmentations?wait=30', post(short)))).toMatchObject({ state: 'done' });
  });

  it('of the clock, which jumps by days while jobs run, changes no end', async () => {
    await using server = await testServer({ milliseconds: 30 });
    const now = Date.now();
    const jobs = [];
    for (const jump of [-30, 30, 0]) {
      vi.spyOn(Date, 'now').mockReturnValue(now + jump * 86_400_000);
      jobs.push(await json(server.fetch('/v1/segmentations', post(short))));
    }
    vi.restoreAllMocks();
    for (const { id } of jobs) {
      await (await server.fetch(`/v1/segmentations/${id}/events`)).text();
      expect(await json(server.fetch(`/v1/segmentations/${id}`))).toMatchObject({ state: 'done' });
    }
    expect(await (await server.fetch('/metrics')).text()).toMatch(/rvos_job_queue_seconds_count 3/);
  });

  it('of a reader that takes nothing holds up neither its job nor others', async () => {
    await using server = await testServer();
    const { id } = await json(server.fetch('/v1/segmentations', post(long)));
    const { hostname, port } = new URL(server.address);
    const reader = connect(Number(port), hostname);
    reader.pause();
    reader.write(`GET /v1/segmentations/${id}/masks HTTP/1.1\r\nhost: x\r\naccept: application/x-ndjson\r\n\r\n`);
    await (await server.fetch(`/v1/segmentations/${id}/events`)).text();
    expect(await json(server.fetch(`/v1/segmentations/${id}`))).toMatchObject({ state: 'done' });
    expect(await json(server.fetch('/v1/segmentations?wait=30', post(short)))).toMatchObject({ state: 'done' });
    reader.destroy();
  });

  it('ended jobs and their results go when their time is over', async () => {
    await using server = await testServer({ keepSeconds: 100 });
    const { id } = await json(server.fetch('/v1/segmentations?wait=30', post(short)));
    await server.server.jobs.expire(Date.now() + 50_000);
    expect((await server.fetch(`/v1/segmentations/${id}/masks`)).status).toBe(200);
    await server.server.jobs.expire(Date.now() + 200_000);
    expect((await server.fetch(`/v1/segmentations/${id}`)).status).toBe(404);
    expect(await readdir(join(server.data, 'results'))).toEqual([]);
  });

  it('a deadline counts from acceptance, waiting included', async () => {
    await using server = await testServer({ jobs: 1, milliseconds: 200 });
    const first = await json(server.fetch('/v1/segmentations', post(long)));
    const body = form(short, { ...wanted, deadline: '0.2' });
    const { id } = await json(server.fetch('/v1/segmentations', { method: 'POST', body }));
    await sleep(300);
    await server.fetch(`/v1/segmentations/${first.id}`, { method: 'DELETE' });
    await (await server.fetch(`/v1/segmentations/${id}/events`)).text();
    expect(await json(server.fetch(`/v1/segmentations/${id}`))).toMatchObject({
      ...{ state: 'failed', error: { code: 'DEADLINE_EXCEEDED' } },
    });
  });
});
