import { type FileHandle, open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';

export interface ZipOptions {
  /** 0 = stored. */
  readonly method?: number;
  /** Bit 0: encrypted. */
  readonly flags?: number;
}

interface Written {
  readonly name: Buffer;
  readonly offset: number;
  readonly size: number;
  readonly crc: number;
  readonly options: ZipOptions;
}

/**
 * Writes zip files as torch.save does: stored entries whose data starts at multiples of 64, sizes in data descriptors and
 * the central directory alone. Checks nothing, so that tests can write what should be refused.
 */
export class ZipWriter {
  readonly #entries: Written[] = [];
  #position = 0;

  private constructor(private readonly handle: FileHandle) {}

  static async create(path: string): Promise<ZipWriter> {
    return new ZipWriter(await open(path, 'w'));
  }

  async add(name: string, data: Uint8Array, options: ZipOptions = {}): Promise<void> {
    const nameBytes = Buffer.from(name);
    const padding = (64 - ((this.#position + 30 + nameBytes.length + 4) % 64)) % 64;
    const header = Buffer.alloc(30 + nameBytes.length + 4 + padding);
    header.writeUInt32LE(0x04034b50, 0);
    header.writeUInt16LE(0x0808 | (options.flags ?? 0), 6);
    header.writeUInt16LE(options.method ?? 0, 8);
    header.writeUInt16LE(nameBytes.length, 26);
    header.writeUInt16LE(4 + padding, 28);
    nameBytes.copy(header, 30);
    header.write('FB', 30 + nameBytes.length);
    header.writeUInt16LE(padding, 32 + nameBytes.length);
    const crc = crc32(data);
    const descriptor = Buffer.alloc(16);
    [0x08074b50, crc, data.length, data.length].forEach((value, i) => {
      descriptor.writeUInt32LE(value, 4 * i);
    });
    this.#entries.push({ name: nameBytes, offset: this.#position, size: data.length, crc, options });
    for (const part of [header, data, descriptor]) await this.#write(part);
  }

  async close(): Promise<void> {
    const start = this.#position;
    for (const { name, offset, size, crc, options } of this.#entries) {
      const record = Buffer.alloc(46 + name.length);
      record.writeUInt32LE(0x02014b50, 0);
      record.writeUInt16LE(0x0808 | (options.flags ?? 0), 8);
      record.writeUInt16LE(options.method ?? 0, 10);
      record.writeUInt32LE(crc, 16);
      record.writeUInt32LE(size, 20);
      record.writeUInt32LE(size, 24);
      record.writeUInt16LE(name.length, 28);
      record.writeUInt32LE(offset, 42);
      name.copy(record, 46);
      await this.#write(record);
    }
    const end = Buffer.alloc(22);
    end.writeUInt32LE(0x06054b50, 0);
    end.writeUInt16LE(this.#entries.length, 8);
    end.writeUInt16LE(this.#entries.length, 10);
    end.writeUInt32LE(this.#position - start, 12);
    end.writeUInt32LE(start, 16);
    await this.#write(end);
    await this.handle.close();
  }

  async #write(bytes: Uint8Array): Promise<void> {
    await this.handle.write(bytes, 0, bytes.length, this.#position);
    this.#position += bytes.length;
  }
}

/** A zip file of entries in one go. */
export async function writeZip(
  path: string,
  entries: readonly [string, Uint8Array | string, ZipOptions?][],
): Promise<void> {
  const zip = await ZipWriter.create(path);
  for (const [name, data, options] of entries) await zip.add(name, Buffer.from(data as Uint8Array), options);
  await zip.close();
}
