import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { type Entry, fromBuffer, type ZipFile } from 'yauzl';

/** What a zip in memory holds, in its order. */
export async function entriesOf(bytes: Buffer): Promise<{ name: string; data: Buffer }[]> {
  const open = promisify(
    fromBuffer as (bytes: Buffer, options: object, done: (error: Error | null, zip: ZipFile) => void) => void,
  );
  const zip = await open(bytes, { lazyEntries: true });
  const entries: { name: string; data: Buffer }[] = [];
  return new Promise((resolve, reject) => {
    zip.on('error', reject).on('end', () => resolve(entries));
    zip.on('entry', (entry: Entry) => {
      zip.openReadStream(entry, (error, stream) => {
        if (error) return reject(error);
        buffer(stream).then((data) => {
          entries.push({ name: entry.fileName, data });
          zip.readEntry();
        }, reject);
      });
    });
    zip.readEntry();
  });
}
