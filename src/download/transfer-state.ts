import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';

const part = z.object({
  start: z.number().int().nonnegative(),
  /** Excluded. */
  end: z.number().int().nonnegative(),
  done: z.number().int().nonnegative(),
});
const state = z.object({
  /** Bytes of the whole file. */
  total: z.number().int().nonnegative(),
  /** What the server called this version of the file; empty if it gave it no name. */
  version: z.string(),
  parts: z.array(part).min(1).max(10_000),
});

/** How far a download is: which bytes of `<file>.partial` are there, of which version of the file. */
export type TransferState = z.infer<typeof state>;
export type TransferPart = z.infer<typeof part>;

/** The state that an interrupted download left; undefined if there is none that can be believed. */
export async function readTransferState(path: string): Promise<TransferState | undefined> {
  try {
    const found = state.parse(JSON.parse(await readFile(path, 'utf8')));
    let at = 0;
    for (const { start, end, done } of found.parts) {
      if (start !== at || end < start || done > end - start) return undefined;
      at = end;
    }
    return at === found.total ? found : undefined;
  } catch {
    return undefined;
  }
}

export async function writeTransferState(path: string, value: TransferState): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(value));
  await rename(`${path}.new`, path);
}

/** One part, or several of about `bytes` each. */
export function splitParts(total: number, bytes: number): TransferPart[] {
  const parts: TransferPart[] = [];
  for (let start = 0; start < total || parts.length === 0; start += bytes) {
    parts.push({ start, end: Math.min(start + bytes, total), done: 0 });
  }
  return parts;
}

export function doneBytes({ parts }: TransferState): number {
  return parts.reduce((sum, { done }) => sum + done, 0);
}
