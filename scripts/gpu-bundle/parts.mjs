// Files of a bounded size: an archive is written as NAME.000, NAME.001, …, each with its SHA-256.
import { createHash } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { join } from 'node:path';
import { finished } from 'node:stream/promises';

const units = { '': 1, K: 1e3, M: 1e6, G: 1e9, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 };
const least = 100_000;

/** `24M`, `24MB`, `16MiB` or bytes as a number. Throws Error. */
export function partBytes(text) {
  const [, number, unit] = /^(\d+(?:\.\d+)?)\s*([KMG](?:iB|B)?|)$/.exec(text) ?? [];
  const bytes = Math.floor(
    Number(number) * units[unit === undefined || unit.endsWith('iB') ? unit : unit.replace('B', '')],
  );
  if (!(bytes >= least)) throw new Error(`--part-size: "${text}" is no size of at least 100K, such as 24M or 16MiB`);
  return bytes;
}

/** Writes what `source` (an async iterable of Buffers) gives; resolves to [{ file, bytes, sha256 }]. */
export async function writeParts(source, { folder, name, partSize }) {
  const parts = [];
  let part;
  const end = async () => {
    part.file.end();
    await finished(part.file);
    parts.push({ file: part.name, bytes: part.bytes, sha256: part.hash.digest('hex') });
    part = undefined;
  };
  for await (let chunk of source) {
    while (chunk.length > 0) {
      if (!part) {
        const partName = `${name}.${String(parts.length).padStart(3, '0')}`;
        part = {
          name: partName,
          bytes: 0,
          hash: createHash('sha256'),
          file: createWriteStream(join(folder, partName)),
        };
      }
      const piece = chunk.subarray(0, partSize - part.bytes);
      chunk = chunk.subarray(piece.length);
      part.bytes += piece.length;
      part.hash.update(piece);
      await written(part.file, piece);
      if (part.bytes === partSize) await end();
    }
  }
  if (part) await end();
  return parts;
}

/** Waits for the disk, and fails as it fails. */
function written(file, piece) {
  return new Promise((done, fail) => file.write(piece, (error) => (error ? fail(error) : done())));
}
