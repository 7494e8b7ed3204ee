import { fstatSync, writeSync } from 'node:fs';
import { RvosError } from '../errors.js';

let failure: RvosError | undefined;
let pending: Promise<void> = Promise.resolve();
/** A file takes what fits and says so only when asked how much that was, which Node's stream does not ask. */
let isFile: boolean | undefined;

/** Writes to standard output. What goes wrong is told by {@link printed}, which `main` waits for before it exits. */
export function print(text: string): void {
  if (failure) return;
  isFile ??= fstatSync(1).isFile();
  if (isFile) printToFile(Buffer.from(text));
  else printToStream(text);
}

function printToStream(text: string): void {
  const before = pending;
  const written = new Promise<void>((resolve) => {
    process.stdout.write(text, (error) => {
      if (error) failure ??= unwritable(error);
      resolve();
    });
  });
  pending = before.then(() => written);
}

/** Resolves when all is written. Throws `RvosError` DISK_FULL, OUTPUT_NOT_WRITABLE. */
export async function printed(): Promise<void> {
  await pending;
  if (failure) throw failure;
}

/**
 * Errors of both streams come as events, too: without a listener they would end the process with a stack trace. Nobody can
 * be told that standard error does not work.
 */
export function guardStandardStreams(): void {
  process.stdout.on('error', (error) => {
    failure ??= unwritable(error);
  });
  process.stderr.on('error', () => undefined);
}

function printToFile(bytes: Buffer): void {
  try {
    for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done);
  } catch (error) {
    failure ??= unwritable(error as NodeJS.ErrnoException);
  }
}

function unwritable(error: NodeJS.ErrnoException): RvosError {
  const full = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  const closed = error.code === 'EPIPE' || error.code === 'EBADF';
  const why = full ? 'no space is left' : closed ? 'its reader has closed it' : (error.code ?? error.message);
  return new RvosError(
    full ? 'DISK_FULL' : 'OUTPUT_NOT_WRITABLE',
    `cannot write to standard output: ${why}`,
    full ? 'Free some space or send it elsewhere.' : 'Send it to a file, or to a program that reads all of it.',
    { cause: error },
  );
}
