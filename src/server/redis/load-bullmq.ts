import type * as BullMq from 'bullmq';
import type { Redis } from 'ioredis';
import { RvosError } from '../../errors.js';

const answerMilliseconds = 10_000;

export interface RedisLibraries {
  readonly bullmq: typeof BullMq;
  /** A connection that waits for Redis as long as it is away; as BullMQ wants them. */
  patient(): Redis;
  /** A connection whose commands fail where Redis does not answer. */
  prompt(): Redis;
}

/** The optional peers. Throws `RvosError` BAD_ARGUMENT where they are not installed or the address is none. */
export async function loadBullMq(url: string): Promise<RedisLibraries> {
  if (!/^rediss?:\/\/\S+$/.test(url)) {
    throw new RvosError('BAD_ARGUMENT', `${hidden(url)} is no address of Redis`, 'Give it as redis://host:6379.');
  }
  try {
    const [bullmq, { Redis }] = await Promise.all([import('bullmq'), import('ioredis')]);
    const open = (options: { maxRetriesPerRequest: number | null; commandTimeout?: number }) => {
      const redis = new Redis(url, options);
      // What matters of it comes with the commands that fail.
      redis.on('error', () => undefined);
      return redis;
    };
    return {
      bullmq,
      patient: () => open({ maxRetriesPerRequest: null }),
      prompt: () => open({ maxRetriesPerRequest: 3, commandTimeout: answerMilliseconds }),
    };
  } catch (error) {
    throw new RvosError('BAD_ARGUMENT', '--redis needs packages that are not installed', 'npm install bullmq ioredis', {
      cause: error,
    });
  }
}

/** An address without its password. */
export function hidden(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//…@');
}
