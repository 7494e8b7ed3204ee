import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { open, type RootDatabase } from 'lmdb';
import { RvosError } from '../errors.js';
import { toOutputError } from '../files/output-error.js';
import type { Job, JobChanges, JobState } from './job.js';
import type { JobStore } from './job-store.js';

/** Keys: `job` id · `owner` owner id · `key` owner idempotency key. */
type Key = readonly string[];
const afterAll = '\u{10ffff}';
const readMilliseconds = 60_000;

/**
 * Jobs in LMDB: transactions, one memory-mapped file, readers that never wait, and a page tree that is whole at every moment,
 * so that kill -9 leaves the last committed state. Its binary comes in a package for the platform; no install script is needed.
 */
export class LmdbJobStore implements JobStore {
  private constructor(
    private readonly folder: string,
    private readonly database: RootDatabase<unknown, string[]>,
  ) {}

  /** Throws `RvosError` BAD_STORE, OUTPUT_NOT_WRITABLE, DISK_FULL. */
  static async open(folder: string): Promise<LmdbJobStore> {
    try {
      await mkdir(folder, { recursive: true });
    } catch (error) {
      throw toOutputError(error, folder);
    }
    await checkInChild(folder);
    let database: RootDatabase<unknown, string[]> | undefined;
    try {
      database = open<unknown, string[]>({ path: folder, encoding: 'json', maxDbs: 1 });
      for (const _ of database.getKeys({ limit: 1 })) break;
      const store = new LmdbJobStore(folder, database);
      await store.checkWritable();
      return store;
    } catch (error) {
      await database?.close().catch(() => undefined);
      if (error instanceof RvosError) throw error;
      throw badStore(folder, (error as Error).message, error);
    }
  }

  add(job: Job): Promise<{ job: Job; added: boolean }> {
    return this.#write(() => {
      const key = job.idempotency && ['key', job.owner, job.idempotency.key];
      const earlier = key && (this.database.get(key) as string | undefined);
      const found = earlier === undefined ? undefined : this.#get(earlier);
      if (found) return { job: found, added: false };
      this.#put(['job', job.id], job);
      this.#put(['owner', job.owner, job.id], 1);
      if (key) this.#put(key, job.id);
      return { job, added: true };
    });
  }

  async get(id: string): Promise<Job | undefined> {
    return this.#get(id);
  }

  change(id: string, from: readonly JobState[], changes: JobChanges): Promise<Job | undefined> {
    return this.#write(() => {
      const job = this.#get(id);
      if (!job || !from.includes(job.state)) return undefined;
      const changed = { ...job, ...changes };
      this.#put(['job', id], changed);
      return changed;
    });
  }

  async remove(id: string): Promise<void> {
    await this.#write(() => {
      const job = this.#get(id);
      if (!job) return;
      this.#delete(['job', id]);
      this.#delete(['owner', job.owner, id]);
      if (job.idempotency) this.#delete(['key', job.owner, job.idempotency.key]);
    });
  }

  async list(owner: string, { before, limit }: { before?: string | undefined; limit: number }): Promise<Job[]> {
    const jobs: Job[] = [];
    const range = { start: ['owner', owner, before ?? afterAll], end: ['owner', owner], reverse: true };
    for (const key of this.database.getKeys(range)) {
      const id = key[2]!;
      const job = id === before ? undefined : this.#get(id);
      if (job) jobs.push(job);
      if (jobs.length === limit) break;
    }
    return jobs;
  }

  async *all(): AsyncGenerator<Job, void, undefined> {
    const ids = Array.from(this.database.getKeys({ start: ['job'], end: ['job', afterAll] }), (key) => key[1]!);
    for (const id of ids) {
      const job = this.#get(id);
      if (job) yield job;
    }
  }

  async checkWritable(): Promise<void> {
    await this.#write(() => this.#put(['written'], 1));
  }

  async close(): Promise<void> {
    await this.database.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #get(id: string): Job | undefined {
    return this.database.get(['job', id]) as Job | undefined;
  }

  #put(key: Key, value: unknown): void {
    void this.database.put([...key], value);
  }

  #delete(key: Key): void {
    void this.database.remove([...key]);
  }

  /** In one transaction; resolves when it is on disk. */
  async #write<T>(work: () => T): Promise<T> {
    try {
      const result = await this.database.transaction(work);
      await this.database.flushed;
      return result;
    } catch (error) {
      throw toOutputError(error, this.folder);
    }
  }
}

function badStore(folder: string, what: string, cause?: unknown): RvosError {
  return new RvosError(
    'BAD_STORE',
    `the job store in ${folder} cannot be read (${what})`,
    'Restore it from a copy, or move the whole data folder away: its jobs and results are forgotten then.',
    { cause },
  );
}

/** Reads every record. */
const readAll = `
  const database = require(process.argv[1]).open({ path: process.argv[2], encoding: 'json', maxDbs: 1, readOnly: true });
  for (const { value } of database.getRange({})) void value;
  process.exit(0);
`;

/** A damaged file can end the process that maps it into its memory: another process reads it first. Throws BAD_STORE. */
async function checkInChild(folder: string): Promise<void> {
  if (!existsSync(join(folder, 'data.mdb'))) return;
  const lmdb = createRequire(import.meta.url).resolve('lmdb');
  await new Promise<void>((resolve, reject) => {
    execFile(process.execPath, ['-e', readAll, lmdb, folder], { timeout: readMilliseconds }, (error, _, told) => {
      if (!error) return resolve();
      const said = /^\w*Error: (.*)$/m.exec(told)?.[1];
      reject(badStore(folder, said ?? `a process that read it ended with ${error.signal ?? error.code}`, error));
    });
  });
}
