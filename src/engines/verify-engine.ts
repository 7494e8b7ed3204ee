import { lstat } from 'node:fs/promises';
import { RvosError } from '../errors.js';
import { sha256OfFile } from '../files/digest.js';
import type { EngineManifest } from './engine-manifest.js';

/** Engines found right in this process, by path; with the state they were in then. */
const verified = new Map<string, string>();

/**
 * Checks an engine file against its manifest: a regular file of the size and SHA-256 that it had when it was built, read
 * once a process. Only such a file may be given to TensorRT. Throws `RvosError` BAD_ENGINE, with `hint` as the remedy;
 * ABORTED.
 */
export async function verifyEngineFile(
  path: string,
  expected: EngineManifest['file'],
  hint: string,
  signal?: AbortSignal,
): Promise<void> {
  const bad = (why: string, cause?: unknown) => new RvosError('BAD_ENGINE', `${path} ${why}`, hint, { cause });
  const found = await lstat(path).catch(() => undefined);
  if (!found) throw bad('is missing, its manifest is there');
  if (!found.isFile()) throw bad('is no regular file');
  if (found.size !== expected.bytes) throw bad(`is damaged: ${found.size} bytes instead of ${expected.bytes}`);
  const state = `${expected.sha256} ${found.size} ${found.mtimeMs} ${found.ino}`;
  if (verified.get(path) === state) return;
  let digest: string;
  try {
    digest = await sha256OfFile(path, signal);
  } catch (cause) {
    if (cause instanceof RvosError) throw cause;
    throw bad('cannot be read', cause);
  }
  if (digest !== expected.sha256) throw bad('is damaged: its SHA-256 is not the one it was built with');
  verified.set(path, state);
}
