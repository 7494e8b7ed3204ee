import type { FileHandle } from 'node:fs/promises';
import yauzl, { type Entry, type ZipFile } from 'yauzl';
import { readExactly } from '../../files/read-exactly.js';
import { badCheckpoint } from './bad-checkpoint.js';

/** A checkpoint with its optimizer has some 2,000 entries. */
const maxEntries = 20_000;
const localHeaderBytes = 30;

/** Where an entry's bytes stand in the file: stored, not compressed. */
export interface ZipEntry {
  readonly offset: number;
  readonly size: number;
}

/**
 * Entries of a zip file by name, sizes from the central directory. Refused with `RvosError` BAD_CHECKPOINT: compressed or
 * encrypted entries (PyTorch stores), names that leave the archive, names that occur twice, entries that overlap or reach
 * beyond the file.
 */
export async function readZipEntries(path: string, handle: FileHandle): Promise<ReadonlyMap<string, ZipEntry>> {
  const { size: fileBytes } = await handle.stat();
  const found = await centralDirectory(path, handle);
  const entries = new Map<string, ZipEntry>();
  const ranges: { begin: number; end: number; name: string }[] = [];
  for (const entry of found) {
    const name = entry.fileName;
    const label = JSON.stringify(name.slice(0, 200));
    if (entry.compressionMethod !== 0) throw badCheckpoint(path, `has the compressed entry ${label}`);
    if (entry.isEncrypted()) throw badCheckpoint(path, `has the encrypted entry ${label}`);
    if (entries.has(name)) throw badCheckpoint(path, `has two entries named ${label}`);
    const offset = await dataOffset(path, handle, entry);
    const end = offset + entry.compressedSize;
    if (entry.compressedSize !== entry.uncompressedSize || !(end <= fileBytes)) {
      throw badCheckpoint(path, `is truncated or damaged at entry ${label}`);
    }
    entries.set(name, { offset, size: entry.compressedSize });
    ranges.push({ begin: entry.relativeOffsetOfLocalHeader, end, name: label });
  }
  ranges.sort((a, b) => a.begin - b.begin);
  for (let i = 1; i < ranges.length; i++) {
    if (ranges[i]!.begin < ranges[i - 1]!.end)
      throw badCheckpoint(path, `has overlapping entries at ${ranges[i]!.name}`);
  }
  return entries;
}

function centralDirectory(path: string, handle: FileHandle): Promise<Entry[]> {
  return new Promise((resolve, reject) => {
    const fail = (cause: unknown) => {
      const reason = cause instanceof Error ? cause.message.slice(0, 200) : 'unknown reason';
      reject(badCheckpoint(path, `is not a complete zip file (${reason})`, cause));
    };
    const begin = (error: Error | null, zip: ZipFile) => {
      if (error) return fail(error);
      if (zip.entryCount > maxEntries) return fail(new Error(`${zip.entryCount} entries`));
      const entries: Entry[] = [];
      zip.on('error', fail);
      zip.on('entry', (entry: Entry) => {
        entries.push(entry);
        if (entries.length > maxEntries) return fail(new Error('too many entries'));
        zip.readEntry();
      });
      zip.on('end', () => resolve(entries));
      zip.readEntry();
    };
    // The handle stays ours: yauzl closes nothing.
    yauzl.fromFd(handle.fd, { autoClose: false, lazyEntries: true, strictFileNames: true }, begin);
  });
}

/** The data follows the local header, whose name and padding have lengths of their own. */
async function dataOffset(path: string, handle: FileHandle, entry: Entry): Promise<number> {
  const start = entry.relativeOffsetOfLocalHeader;
  const label = JSON.stringify(entry.fileName.slice(0, 200));
  const header = Buffer.alloc(localHeaderBytes);
  const complete = Number.isSafeInteger(start) && (await readExactly(handle, header, start)) === header.length;
  if (!complete || header.readUInt32LE(0) !== 0x04034b50) {
    throw badCheckpoint(path, `is truncated or damaged at entry ${label}`);
  }
  return start + localHeaderBytes + header.readUInt16LE(26) + header.readUInt16LE(28);
}
