import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { seededRandom } from './random.js';
import { entry, serve, work } from './serve-process.js';
import { form, json } from './test-server.js';
import { ffmpeg } from './videos.js';

const run = promisify(execFile);
const ends = ['done', 'failed', 'cancelled'];
const size = ['--short-side', '32', '--long-side', '64'];

interface Kind {
  readonly video: string;
  readonly sentences: readonly string[];
  /** Nothing of the video is there: such a job fails. */
  readonly start?: string;
}

interface Seen {
  readonly kind: Kind;
  readonly cancelled: boolean;
  end?: string;
}

export interface KilledServerReport {
  readonly kills: number;
  /** Seconds from the first request to the last end. */
  readonly seconds: number;
  /** Jobs by state, as the server lists them. */
  readonly states: Readonly<Record<string, number>>;
  /** Ids that clients were given. */
  readonly accepted: number;
  /** Ids that the server lists. */
  readonly listed: number;
  /** What must not be: jobs lost, ended twice or otherwise than asked, results that differ, files left behind. */
  readonly wrong: readonly string[];
}

/**
 * Sends jobs to `rvos serve` while it is killed (SIGKILL) and started again, then compares what became of them with
 * `rvos segment`. Clients repeat a request, under its idempotency key, until it is answered. With `redis`, two workers do the work
 * and are killed by turns, and the server stays.
 */
export async function killServerWhileItWorks(options: {
  readonly folder: string;
  readonly jobs: number;
  readonly kills: number;
  readonly seed: number;
  readonly redis?: string;
  readonly onProgress?: (line: string) => void;
}): Promise<KilledServerReport> {
  const { folder, jobs, kills, seed, redis, onProgress } = options;
  const random = seededRandom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  const kinds = await makeKinds(folder);
  const videos = new Map<string, Buffer>();
  for (const { video } of kinds) videos.set(video, await readFile(join(folder, video)));
  const expected = new Map<Kind, unknown>();
  for (const kind of kinds) if (kind.start === undefined) expected.set(kind, await segmented(folder, kind));

  const data = join(folder, 'data');
  const front = redis === undefined ? [] : ['--redis', redis];
  const start = () => serve(data, '--jobs', '4', '--max-queue', String(jobs), '--quiet', ...front);
  let server = await start();
  const startWorker = () => work(redis!, data, '--jobs', '4', '--lock', '1');
  const workers = redis === undefined ? [] : [await startWorker(), await startWorker()];
  const seen = new Map<string, Seen>();
  const wrong: string[] = [];
  const began = performance.now();

  /** Repeats until the server answers. */
  const ask = async (path: string, init: () => RequestInit = () => ({})): Promise<Response> => {
    for (;;) {
      try {
        const response = await server.fetch(path, { ...init(), signal: AbortSignal.timeout(30_000) });
        const body = await response.arrayBuffer();
        if (response.status !== 503) return new Response(response.status === 204 ? null : body, response);
      } catch {
        // It was killed meanwhile.
      }
      await sleep(50);
    }
  };
  let sent = 0;
  const client = async () => {
    while (sent < jobs) {
      sent++;
      const kind = pick(kinds);
      const cancel = random() < 0.05;
      const headers = { 'idempotency-key': randomUUID() };
      const outputs = random() < 0.1 ? ['masks', 'contact_sheet'] : ['masks'];
      const fields = { sentences: kind.sentences, outputs, short_side: '32', long_side: '64' };
      const body = () => form(videos.get(kind.video), { ...fields, ...(kind.start && { start: kind.start }) });
      const answer = await ask('/v1/segmentations', () => ({ method: 'POST', headers, body: body() }));
      const { id } = await json(answer.clone());
      if (typeof id !== 'string') {
        wrong.push(`a request was answered ${answer.status}: ${await answer.text()}`);
        continue;
      }
      seen.set(id, { kind, cancelled: cancel });
      if (!cancel) continue;
      await sleep(300 * random());
      await ask(`/v1/segmentations/${id}`, () => ({ method: 'DELETE' }));
    }
  };
  /** Ends that were told are remembered: they must stay. */
  const look = async (): Promise<Record<string, number>> => {
    const states: Record<string, number> = {};
    for (let next: string | null = '/v1/segmentations?limit=100'; next; ) {
      const page = await json(ask(next));
      for (const { id, state } of page.segmentations) {
        states[state] = (states[state] ?? 0) + 1;
        const job = seen.get(id);
        if (!job) continue;
        if (job.end !== undefined && job.end !== state) wrong.push(`${id} was ${job.end} and is ${state}`);
        if (ends.includes(state)) job.end = state;
      }
      next = page.next;
    }
    return states;
  };

  let killed = 0;
  const killer = async () => {
    while (killed < kills) {
      // Spread over the jobs, at a random moment of whatever is going on.
      while (ended() < (jobs * killed) / (kills + 1)) {
        await look();
        await sleep(100);
      }
      await sleep(1000 * random());
      const worker = workers.shift();
      await (worker ?? server).kill('SIGKILL');
      killed++;
      onProgress?.(`kill ${killed}: ${seen.size} accepted, ${ended()} ended`);
      if (worker) workers.push(await startWorker());
      else server = await start();
    }
  };
  const ended = () => [...seen.values()].filter(({ end }) => end !== undefined).length;
  await Promise.all([...Array.from({ length: 6 }, client), killer()]);
  let states = await look();
  while ((states.queued ?? 0) + (states.running ?? 0) > 0) {
    await sleep(200);
    states = await look();
  }
  const seconds = (performance.now() - began) / 1000;

  for (const [id, { kind, cancelled, end }] of seen) {
    // A cancelled job may have ended before; removed with its results, it is not there any more.
    const fits = kind.start === undefined ? 'done' : 'failed';
    const gone = end === undefined && cancelled;
    if (!gone && end !== fits && !(cancelled && end === 'cancelled')) wrong.push(`${id} is ${end}, not ${fits}`);
    if (end !== 'done' || (cancelled && (await ask(`/v1/segmentations/${id}`)).status === 404)) continue;
    const masks = await json(ask(`/v1/segmentations/${id}/masks`));
    if (JSON.stringify(masks) !== JSON.stringify(expected.get(kind))) wrong.push(`${id} has other masks`);
  }
  const listed = Object.values(states).reduce((sum, count) => sum + count, 0);
  const results = await readdir(join(data, 'results'));
  if (results.length !== (states.done ?? 0))
    wrong.push(`${results.length} results of ${states.done} jobs that are done`);
  for (const worker of workers) {
    const code = await worker.kill('SIGTERM');
    if (code !== 0) wrong.push(`a worker ended with ${code}`);
  }
  // What a worker that was killed was writing is removed by a server after hours: it might still live.
  for (const name of redis === undefined ? ['work', 'uploads'] : ['uploads']) {
    const left = await readdir(join(data, name));
    if (left.length > 0) wrong.push(`left in ${name}: ${left}`);
  }
  const code = await server.kill('SIGTERM');
  if (code !== 0) wrong.push(`the last server ended with ${code}`);
  return { kills: killed, seconds, states, accepted: seen.size, listed, wrong };
}

/** Clips of one and of several windows, with one sentence and with two. */
async function makeKinds(folder: string): Promise<Kind[]> {
  const videos = [];
  for (const [i, frames] of [2, 7, 24, 40].entries()) {
    const video = `clip${i}.mp4`;
    const source = `testsrc2=size=64x48:rate=25:duration=${frames / 25}`;
    await ffmpeg('-f', 'lavfi', '-i', source, '-vf', `hue=h=${90 * i}`, '-c:v', 'mpeg4', join(folder, video));
    videos.push(video);
  }
  const kinds: Kind[] = videos.flatMap((video) => [
    { video, sentences: ['the red disc'] },
    { video, sentences: ['the big square', 'a circle moving left'] },
  ]);
  return [...kinds, { video: videos[0]!, sentences: ['the red disc'], start: '1000' }];
}

async function segmented(folder: string, { video, sentences }: Kind): Promise<unknown> {
  const masks = join(folder, `expected-${sentences.length}-${video}.json`);
  const args = ['segment', join(folder, video), ...sentences, ...size, '--threads', '1', '--masks', masks, '--quiet'];
  await run(process.execPath, [entry, ...args]);
  return JSON.parse(await readFile(masks, 'utf8'));
}
