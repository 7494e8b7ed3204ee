import { type FileHandle, open } from 'node:fs/promises';

/** Boxes and elements of one level that are looked at: more than any file that ffmpeg writes has. */
const mostParts = 1_000_000;

/**
 * Whether a finished MP4 or WebM is whole: its parts fill it to the last byte, and its index is among them. Nothing in it
 * is decoded. An encoder that could not write its last bytes may end as if all were well (ffmpeg 5.1 does).
 */
export async function hasWholeIndex(path: string, container: 'mp4' | 'webm'): Promise<boolean> {
  const file = await open(path, 'r');
  try {
    const { size } = await file.stat();
    return container === 'mp4' ? await wholeMp4(file, size) : await wholeWebm(file, size);
  } finally {
    await file.close();
  }
}

/** Top-level boxes of ISO/IEC 14496-12, `moov` and `mdat` among them. */
async function wholeMp4(file: FileHandle, size: number): Promise<boolean> {
  const found = new Set<string>();
  let at = 0;
  for (let count = 0; at < size && count < mostParts; count++) {
    const head = await read(file, at, 16);
    if (head.length < 8) return false;
    const short = head.readUInt32BE(0);
    const length = short === 1 && head.length === 16 ? Number(head.readBigUInt64BE(8)) : short;
    if (length < 8) return false;
    found.add(head.toString('latin1', 4, 8));
    at += length;
  }
  return at === size && found.has('moov') && found.has('mdat');
}

const ids = { ebml: 0x1a45dfa3, segment: 0x18538067, cues: 0x1c53bb6b, cluster: 0x1f43b675 } as const;

/** EBML header, one Segment that reaches to the end, in it clusters and cues. */
async function wholeWebm(file: FileHandle, size: number): Promise<boolean> {
  const header = await element(file, 0);
  if (header?.id !== ids.ebml) return false;
  const segment = await element(file, header.end);
  if (segment?.id !== ids.segment || segment.end !== size) return false;
  const found = new Set<number>();
  let at = segment.content;
  for (let count = 0; at < size && count < mostParts; count++) {
    const part = await element(file, at);
    if (!part) return false;
    found.add(part.id);
    at = part.end;
  }
  return at === size && found.has(ids.cues) && found.has(ids.cluster);
}

/** The EBML element at a position; undefined where there is none of known size. */
async function element(
  file: FileHandle,
  at: number,
): Promise<{ readonly id: number; readonly content: number; readonly end: number } | undefined> {
  const head = await read(file, at, 12);
  const idLength = Math.clz32(head[0] ?? 0) - 23;
  if (idLength > 4 || head.length < idLength + 1) return undefined;
  const id = head.readUIntBE(0, idLength);
  const sizeLength = Math.clz32(head[idLength]!) - 23;
  if (sizeLength > 8 || head.length < idLength + sizeLength) return undefined;
  let size = BigInt(head[idLength]! & (0xff >> sizeLength));
  for (let i = 1; i < sizeLength; i++) size = (size << 8n) | BigInt(head[idLength + i]!);
  if (size === (1n << BigInt(7 * sizeLength)) - 1n) return undefined; // unknown: it was never completed
  const content = at + idLength + sizeLength;
  return { id, content, end: content + Number(size) };
}

async function read(file: FileHandle, at: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(buffer, 0, bytes, at);
  return buffer.subarray(0, bytesRead);
}
