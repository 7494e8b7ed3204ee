import { createReadStream } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Expectation } from '../arguments.js';
import { throwIfAborted } from '../errors.js';
import { makeTemporaryFolder } from '../files/temporary-folder.js';

/** Where an output goes: a path, or a stream that is written to and ended, such as a file, a socket or an HTTP response. */
export type OutputTarget = string | Writable;

/** @internal */
export const outputTarget: Expectation = {
  expected: 'a path or a Writable',
  accepts: (value) => (typeof value === 'string' && value !== '') || isWritable(value),
};

function isWritable(value: unknown): value is Writable {
  return typeof value === 'object' && value !== null && 'write' in value && 'end' in value && 'pipe' in value;
}

/**
 * Makes an output where it is wanted. For a stream it is written to a temporary file of this name first and sent when it is whole: a
 * reader never gets the beginning of an output that fails later. Throws what `write` and the stream throw; ABORTED.
 */
export async function writeTo(
  target: OutputTarget,
  name: string,
  signal: AbortSignal | undefined,
  write: (path: string) => Promise<void>,
): Promise<void> {
  if (typeof target === 'string') return write(target);
  await withTemporary(name, write, async (path) => {
    throwIfAborted(signal);
    await pipeline(createReadStream(path), target, signal ? { signal } : {});
  });
}

/** The same as bytes. */
export async function bytesOf(name: string, write: (path: string) => Promise<void>): Promise<Uint8Array> {
  return withTemporary(name, write, async (path) => new Uint8Array(await readFile(path)));
}

async function withTemporary<T>(
  name: string,
  write: (path: string) => Promise<void>,
  use: (path: string) => Promise<T>,
): Promise<T> {
  const folder = await makeTemporaryFolder('output');
  try {
    const path = join(folder.path, name);
    await write(path);
    return await use(path);
  } finally {
    await folder.remove();
  }
}
