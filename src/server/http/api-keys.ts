import { createHash, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { FastifyRequest } from 'fastify';
import { RvosError } from '../../errors.js';
import { Problem } from './problem.js';

const sha256 = (text: string) => createHash('sha256').update(text).digest();

/** Who may use the server: whoever has one of these keys, or anybody if there are none. */
export class ApiKeys {
  readonly #hashes: readonly Buffer[] | undefined;

  /** Throws BAD_ARGUMENT. */
  constructor(keys: readonly string[] | undefined) {
    if (keys?.some((key) => !/^\S+$/.test(key))) {
      throw new RvosError('BAD_ARGUMENT', 'an API key is empty or holds white space', 'A header could not carry it.');
    }
    this.#hashes = keys?.map(sha256);
  }

  /** One key a line; empty lines and lines that begin with # are none. Throws NOT_FOUND, BAD_ARGUMENT. */
  static async read(path: string): Promise<string[]> {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      throw new RvosError(
        'NOT_FOUND',
        `${path}: cannot be read (${error.code})`,
        'Give a file with one API key a line.',
        {
          cause: error,
        },
      );
    });
    const keys = text
      .split(/\r?\n/)
      .map((line) => line.trim())
      .filter((line) => line !== '' && !line.startsWith('#'));
    if (keys.length === 0) {
      throw new RvosError('BAD_ARGUMENT', `${path} holds no API key`, 'Write one key a line, or leave the option out.');
    }
    return keys;
  }

  /** Whose request it is: the same text for the same key, from which the key cannot be told. Throws a 401. */
  owner(request: FastifyRequest): string {
    if (!this.#hashes) return 'anyone';
    const [, key] = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const hash = sha256(key ?? '');
    // All are compared, so that the time tells nothing.
    let known = false;
    for (const each of this.#hashes) known = timingSafeEqual(each, hash) || known;
    if (key === undefined || !known) {
      throw new Problem(401, 'UNAUTHORIZED', 'send a known API key as Authorization: Bearer');
    }
    return hash.toString('hex').slice(0, 32);
  }
}
