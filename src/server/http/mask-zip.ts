import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { ZipFile } from 'yazl';
import { encodeMaskPng } from '../../masks/png.js';
import { type CocoRle, decodeRle } from '../../masks/rle.js';

interface Row {
  readonly masks: readonly CocoRle[];
}

/** `<query>/<frame>.png` of all frames, made from their rows one after another as the reader takes them. */
export function maskZip(rowsPath: string, frames: number, queries: number): NodeJS.ReadableStream {
  const zip = new ZipFile();
  const pictures = maskPngs(rowsPath);
  for (let frame = 0; frame < frames; frame++) {
    for (let query = 0; query < queries; query++) {
      const name = `${query}/${String(frame).padStart(5, '0')}.png`;
      // Asked for one at a time, in the order in which they were added.
      zip.addReadStreamLazy(name, { compress: false, mtime: new Date(0) }, (answer) => {
        pictures.next().then(
          ({ value }) => answer(null, Readable.from([value ?? Buffer.alloc(0)])),
          (error: unknown) => answer(error, Readable.from([])),
        );
      });
    }
  }
  zip.end();
  return zip.outputStream;
}

async function* maskPngs(rowsPath: string): AsyncGenerator<Buffer, void, undefined> {
  const input = createReadStream(rowsPath, 'utf8');
  try {
    for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
      for (const rle of (JSON.parse(line) as Row).masks) yield Buffer.from(await encodeMaskPng(decodeRle(rle)));
    }
  } finally {
    input.destroy();
  }
}
