import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { RvosError } from '../../src/index.js';
import { openModelFolder } from '../../src/model/model-folder.js';
import { Segmenter } from '../../src/segmenter.js';
import { JobWorker, SegmentationService } from '../../src/server/index.js';
import { TestRedis } from '../support/redis-server.js';
import { serve, work } from '../support/serve-process.js';
import { form, json } from '../support/test-server.js';
import { TurnBackend } from '../support/turn-backend.js';
import { ffmpeg } from '../support/videos.js';

const small = { short_side: '32', long_side: '64' };
let scratch: string;
let short: Buffer;
let long: Buffer;
let redis: TestRedis;
let data: string;
const running: { kill(signal: NodeJS.Signals): Promise<unknown> }[] = [];
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-redis-test-'));
  const make = async (name: string, seconds: number) => {
    const source = `testsrc2=size=64x48:rate=25:duration=${seconds}`;
    await ffmpeg('-f', 'lavfi', '-i', source, '-c:v', 'mpeg4', join(scratch, name));
    return readFile(join(scratch, name));
  };
  [short, long] = [await make('short.mp4', 0.2), await make('long.mp4', 60)];
});
beforeEach(async () => {
  redis = await TestRedis.start();
  data = await mkdtemp(join(scratch, 'data-'));
});
afterEach(async () => {
  for (const process of running.splice(0)) await process.kill('SIGKILL');
  await redis[Symbol.asyncDispose]();
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const front = async () => {
  const server = await serve(data, '--redis', redis.url);
  running.push(server);
  return server;
};
const worker = async (...options: string[]) => {
  const started = await work(redis.url, data, ...options);
  running.push(started);
  return started;
};
type Front = Awaited<ReturnType<typeof front>>;
const post = async (server: Front, video: Buffer, path = '/v1/segmentations') =>
  json(server.fetch(path, { method: 'POST', body: form(video, { sentences: 'a', outputs: 'masks', ...small }) }));
const state = async (server: Front, id: string) => (await json(server.fetch(`/v1/segmentations/${id}`))).state;
const until = async (condition: () => Promise<boolean>) => {
  while (!(await condition())) await sleep(30);
};

describe('rvos serve --redis and rvos worker', () => {
  it('servers take jobs, workers run them, each server knows all of them', async () => {
    const [one, two] = await Promise.all([front(), front()]);
    const waiting = await post(one, short);
    expect(waiting.state).toBe('queued');
    await Promise.all([worker(), worker()]);
    await (await two.fetch(`/v1/segmentations/${waiting.id}/events`)).text();
    expect(await state(two, waiting.id)).toBe('done');
    const done = await post(two, short, '/v1/segmentations?wait=60');
    expect(done).toMatchObject({ state: 'done' });
    expect((await json(one.fetch(`/v1/segmentations/${done.id}/masks`))).masks[0]).toHaveLength(5);
    const body = form(short, { sentences: 'a', outputs: 'masks', ...small });
    const headers = { accept: 'application/x-ndjson' };
    const rows = await (await one.fetch('/v1/segmentations', { method: 'POST', body, headers })).text();
    const lines = rows
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.slice(0, -1).map(({ frame }) => frame)).toEqual([0, 1, 2, 3, 4]);
    expect(lines.at(-1)).toMatchObject({ state: 'done' });
    expect(await readdir(join(data, 'uploads'))).toEqual([]);
  });

  it('a worker that is killed loses nothing: another one runs its job; DELETE stops it there within a moment', async () => {
    const server = await front();
    const first = await worker('--lock', '1');
    const { id } = await post(server, long);
    await until(async () => (await json(server.fetch(`/v1/segmentations/${id}`))).progress.frames > 0);
    await first.kill('SIGKILL');
    const [name] = await readdir(join(data, 'work'));
    await worker('--lock', '1');
    await until(async () => (await readdir(join(data, 'work'))).some((each) => each !== name));
    expect(await state(server, id)).toBe('running');
    expect((await server.fetch(`/v1/segmentations/${id}`, { method: 'DELETE' })).status).toBe(204);
    expect(await state(server, id)).toBe('cancelled');
    await until(async () => (await readdir(join(data, 'work'))).every((each) => each === name));
    expect(await readdir(join(data, 'results'))).toEqual([]);
  });

  it('a worker that is told to end puts back what it cannot finish, and exits with 0', async () => {
    const server = await front();
    const first = await worker('--grace', '0');
    const { id } = await post(server, long);
    await until(async () => (await readdir(join(data, 'work'))).length === 1);
    expect(await first.kill('SIGTERM')).toBe(0);
    expect(await readdir(join(data, 'work'))).toEqual([]);
    await worker();
    await until(async () => (await readdir(join(data, 'work'))).length === 1);
    await server.fetch(`/v1/segmentations/${id}`, { method: 'DELETE' });
  });

  it('a second signal ends a worker at once, with 130 or 143', async () => {
    const server = await front();
    const workers = await Promise.all([worker('--grace', '60', '--jobs', '1'), worker('--grace', '60', '--jobs', '1')]);
    const jobs = [await post(server, long), await post(server, long)];
    for (const { id } of jobs) await until(async () => (await state(server, id)) === 'running');
    for (const [i, signal] of (['SIGINT', 'SIGTERM'] as const).entries()) {
      workers[i]!.child.kill(signal);
      await sleep(200);
      expect(await workers[i]!.kill(signal)).toBe([130, 143][i]);
    }
  });

  it('a worker whose GPU is lost to its process puts the job back and says so; another one runs it', async () => {
    const server = await front();
    const { id } = await post(server, short);
    const failed = new RvosError('BACKEND_FAILED', 'the GPU failed', 'Open the model again.', {
      cause: Object.assign(new Error('an illegal memory access'), { code: 'DEVICE_LOST' }),
    });
    const backend = new TurnBackend();
    backend.segment = () => Promise.reject(failed);
    const model = await openModelFolder('compact');
    await using service = await SegmentationService.around(Segmenter.around(model, backend));
    await using broken = await JobWorker.start({ service, redis: redis.url, results: data, minFreeDisk: 0 });
    expect(await broken.broken).toBe(failed);
    await broken.close(0);
    expect(['queued', 'running']).toContain(await state(server, id));
    await worker();
    await until(async () => (await state(server, id)) === 'done');
  });

  it('goes on after Redis was killed and started again, and says meanwhile that it takes nothing', async () => {
    const server = await front();
    const { id } = await post(server, short);
    await worker('--lock', '1');
    await until(async () => (await state(server, id)) === 'done');
    await redis.kill();
    await until(async () => (await server.fetch('/health/ready')).status === 503);
    await redis.start();
    await until(async () => (await server.fetch('/health/ready')).status === 200);
    expect(await state(server, id)).toBe('done');
    expect(await post(server, short, '/v1/segmentations?wait=60')).toMatchObject({ state: 'done' });
  });

  it('says in one line that there is no Redis', async () => {
    await redis.kill();
    const server = await serve(data, '--redis', redis.url);
    expect(await server.ended).toBe(1);
    expect(server.told.err).toMatch(/^rvos: Redis at redis:\/\/127\S+ does not answer as it should .*\n$/);
  });
});
