import type { Redis } from 'ioredis';
import { RvosError } from '../../errors.js';
import type { Job, JobChanges, JobState } from '../job.js';
import type { JobStore } from '../job-store.js';

/** Keys: record · ids · ids of the owner · idempotency keys. Arguments: id, record, idempotency key, prefix of records. */
const addScript = `
if ARGV[3] ~= '' then
  local earlier = redis.call('HGET', KEYS[4], ARGV[3])
  local record = earlier and redis.call('GET', ARGV[4] .. earlier)
  if record then return record end
  redis.call('HSET', KEYS[4], ARGV[3], ARGV[1])
end
redis.call('SET', KEYS[1], ARGV[2])
redis.call('ZADD', KEYS[2], 0, ARGV[1])
redis.call('ZADD', KEYS[3], 0, ARGV[1])
return false`;

/** Writes a record if it still is what was read. */
const changeScript = `
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1`;

/**
 * Records of jobs in Redis, beside the queue of the same name: several servers and workers share them. As safe as this Redis is:
 * with `appendonly yes` and `appendfsync always` what was accepted survives its crash.
 */
export class RedisJobStore implements JobStore {
  readonly #redis: Redis;
  readonly #prefix: string;
  readonly #where: string;

  /** `where`: the address as errors tell it. */
  constructor(redis: Redis, queue: string, where: string) {
    this.#redis = redis;
    this.#prefix = `{rvos}:${queue}:`;
    this.#where = where;
  }

  add(job: Job): Promise<{ job: Job; added: boolean }> {
    return this.#told(async () => {
      const keys = [this.#record(job.id), this.#ids, this.#ownerIds(job.owner), this.#keys];
      const args = [job.id, JSON.stringify(job), idempotencyField(job), this.#record('')];
      const earlier = (await this.#redis.eval(addScript, keys.length, ...keys, ...args)) as string | null;
      return earlier === null ? { job, added: true } : { job: JSON.parse(earlier) as Job, added: false };
    });
  }

  get(id: string): Promise<Job | undefined> {
    return this.#told(async () => parsed(await this.#redis.get(this.#record(id))));
  }

  change(id: string, from: readonly JobState[], changes: JobChanges): Promise<Job | undefined> {
    return this.#told(async () => {
      for (;;) {
        const text = await this.#redis.get(this.#record(id));
        const job = parsed(text);
        if (text === null || !job || !from.includes(job.state)) return undefined;
        const changed = { ...job, ...changes };
        const written = await this.#redis.eval(changeScript, 1, this.#record(id), text, JSON.stringify(changed));
        if (written === 1) return changed;
      }
    });
  }

  remove(id: string): Promise<void> {
    return this.#told(async () => {
      const job = parsed(await this.#redis.get(this.#record(id)));
      if (!job) return;
      const all = this.#redis.multi().del(this.#record(id)).zrem(this.#ids, id).zrem(this.#ownerIds(job.owner), id);
      const field = idempotencyField(job);
      await (field === '' ? all : all.hdel(this.#keys, field)).exec();
    });
  }

  list(owner: string, { before, limit }: { before?: string | undefined; limit: number }): Promise<Job[]> {
    return this.#told(async () => {
      const last = before === undefined ? '+' : `(${before}`;
      const ids = await this.#redis.zrevrangebylex(this.#ownerIds(owner), last, '-', 'LIMIT', 0, limit);
      return this.#records(ids);
    });
  }

  async *all(): AsyncGenerator<Job, void, undefined> {
    const page = 500;
    for (let first = '-'; ; ) {
      const ids = await this.#told(() => this.#redis.zrangebylex(this.#ids, first, '+', 'LIMIT', 0, page));
      yield* await this.#told(() => this.#records(ids));
      if (ids.length < page) return;
      first = `(${ids.at(-1)}`;
    }
  }

  async checkWritable(): Promise<void> {
    await this.#told(() => this.#redis.set(`${this.#prefix}written`, 1));
  }

  async close(): Promise<void> {
    this.#redis.disconnect();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #records(ids: readonly string[]): Promise<Job[]> {
    if (ids.length === 0) return [];
    const texts = await this.#redis.mget(ids.map((id) => this.#record(id)));
    return texts.map(parsed).filter((job) => job !== undefined);
  }

  #record(id: string): string {
    return `${this.#prefix}job:${id}`;
  }

  get #ids(): string {
    return `${this.#prefix}ids`;
  }

  get #keys(): string {
    return `${this.#prefix}keys`;
  }

  #ownerIds(owner: string): string {
    return `${this.#prefix}owner:${owner}`;
  }

  async #told<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw new RvosError(
        'BAD_STORE',
        `Redis at ${this.#where} does not answer as it should (${(error as Error).message})`,
        'Look whether it runs, can be reached from here and has memory and disk left.',
        { cause: error },
      );
    }
  }
}

function parsed(text: string | null): Job | undefined {
  return text === null ? undefined : (JSON.parse(text) as Job);
}

function idempotencyField({ owner, idempotency }: Job): string {
  return idempotency ? `${owner} ${idempotency.key}` : '';
}
