import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serve } from '../support/serve-process.js';
import { form, json } from '../support/test-server.js';
import { ffmpeg } from '../support/videos.js';

const small = { short_side: '32', long_side: '64' };
let scratch: string;
let short: Buffer;
let long: Buffer;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-serve-'));
  const make = async (name: string, seconds: number) => {
    const source = `testsrc2=size=64x48:rate=25:duration=${seconds}`;
    await ffmpeg('-f', 'lavfi', '-i', source, '-c:v', 'mpeg4', join(scratch, name));
    return readFile(join(scratch, name));
  };
  [short, long] = [await make('short.mp4', 0.2), await make('long.mp4', 120)];
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

const post = (body: FormData, headers: Record<string, string> = {}) => ({ method: 'POST', body, headers });

describe('rvos serve', () => {
  it('survives kill -9: what was accepted is finished after the restart, once, and nothing half-made is seen', async () => {
    const data = join(scratch, 'killed');
    const before = await serve(data, '--jobs', '2');
    const ids: string[] = [];
    for (const video of [long, short, short, short]) {
      const body = form(video, { sentences: 'a', outputs: 'masks', ...small });
      ids.push((await json(before.fetch('/v1/segmentations', post(body)))).id);
    }
    const state = async (id: string) => (await json(before.fetch(`/v1/segmentations/${id}`))).state;
    while ((await state(ids[0]!)) !== 'running') await sleep(20);
    await before.kill('SIGKILL');
    const after = await serve(data, '--jobs', '2');
    expect(await json(after.fetch('/v1/segmentations'))).toMatchObject({
      segmentations: [...ids].reverse().map((id) => ({ id })),
    });
    for (const id of ids.slice(1)) {
      await (await after.fetch(`/v1/segmentations/${id}/events`)).text();
      expect(await json(after.fetch(`/v1/segmentations/${id}`))).toMatchObject({ state: 'done' });
      expect((await json(after.fetch(`/v1/segmentations/${id}/masks`))).masks[0]).toHaveLength(5);
    }
    const path = `/v1/segmentations/${ids[0]}`;
    expect((await after.fetch(path, { method: 'DELETE' })).status).toBe(204);
    expect(await json(after.fetch(path))).toMatchObject({ state: 'cancelled' });
    expect(await readdir(join(data, 'work'))).toEqual([]);
    expect(await readdir(join(data, 'uploads'))).toEqual([]);
    expect(await after.kill('SIGTERM')).toBe(0);
  });

  it('ends by SIGTERM: ready turns 503, jobs that run may end, others stay accepted; a second one ends it at once', async () => {
    const data = join(scratch, 'ended');
    const server = await serve(data, '--jobs', '1', '--grace', '60');
    const body = form(long, { sentences: 'a', outputs: 'masks', ...small });
    const { id } = await json(server.fetch('/v1/segmentations', post(body)));
    const path = `/v1/segmentations/${id}`;
    while ((await json(server.fetch(path))).state !== 'running') await sleep(20);
    server.child.kill('SIGTERM');
    while ((await server.fetch('/health/ready')).status !== 503) await sleep(20);
    const refused = await server.fetch('/v1/segmentations', post(form(short, { sentences: 'a' })));
    expect([refused.status, (await json(refused)).code]).toEqual([503, 'SHUTTING_DOWN']);
    expect(await server.kill('SIGTERM')).toBe(143);
    const next = await serve(data, '--jobs', '1', '--grace', '0');
    expect(['queued', 'running']).toContain((await json(next.fetch(path))).state);
    expect(await next.kill('SIGINT')).toBe(0);
    const last = await serve(data);
    expect((await last.fetch(path, { method: 'DELETE' })).status).toBe(204);
    expect(await last.kill('SIGTERM')).toBe(0);
  });

  it('a second Ctrl-C ends it at once, with 130; the job is still there', async () => {
    const data = join(scratch, 'twice');
    const server = await serve(data, '--grace', '60');
    const { id } = await json(server.fetch('/v1/segmentations', post(form(long, { sentences: 'a', ...small }))));
    server.child.kill('SIGINT');
    while ((await server.fetch('/health/ready')).status !== 503) await sleep(20);
    expect(await server.kill('SIGINT')).toBe(130);
    const next = await serve(data, '--grace', '0');
    expect(['queued', 'running']).toContain((await json(next.fetch(`/v1/segmentations/${id}`))).state);
    expect(await next.kill('SIGTERM')).toBe(0);
  });

  it('shares its folder with no other server, and says what is wrong in one line', async () => {
    const data = join(scratch, 'shared');
    const first = await serve(data);
    const second = await serve(data);
    expect(await second.ended).toBe(1);
    expect(second.told.err).toMatch(/^rvos: .* is in use by another server .*\n$/);
    const { port } = new URL(/http:\S+/.exec(first.told.err)![0]);
    const third = await serve(join(scratch, 'third'), '--port', port);
    expect(await third.ended).toBe(1);
    expect(third.told.err).toMatch(/^rvos: cannot listen at 127.0.0.1:\d+ \(EADDRINUSE\)\. .*\n$/);
    await first.kill('SIGTERM');
  });

  it('takes its API keys from a file, and logs neither keys nor sentences', async () => {
    const keys = join(scratch, 'keys.txt');
    await writeFile(keys, '# ours\nsecret-one\n\nsecret-two\n');
    const server = await serve(
      join(scratch, 'keys'),
      '--api-keys',
      keys,
      '--rate-limit',
      '500/s',
      '--allow-urls',
      'a.example,b.example',
    );
    expect((await server.fetch('/v1/models')).status).toBe(401);
    const headers = { authorization: 'Bearer secret-two' };
    const body = form(short, { sentences: 'the private thing', ...small });
    expect((await server.fetch('/v1/segmentations?wait=60', post(body, headers))).status).toBe(200);
    const url = (host: string) => ({
      method: 'POST',
      headers: { ...headers, 'content-type': 'application/json' },
      body: JSON.stringify({ url: `http://${host}/v.mp4`, sentences: ['a'] }),
    });
    const limited = await server.fetch('/v1/segmentations', url('c.example'));
    expect(limited.headers.get('x-ratelimit-limit')).toBe('500');
    expect(await json(limited)).toMatchObject({ code: 'ADDRESS_REFUSED' });
    await server.kill('SIGTERM');
    const lines = server.told.out.trim().split('\n');
    expect(lines.map((line) => JSON.parse(line)).filter(({ res }) => res?.statusCode === 200)).toHaveLength(1);
    expect(server.told.out + server.told.err).not.toMatch(/secret-|private/);
  });
});
