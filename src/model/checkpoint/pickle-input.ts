import { PickleProblem } from './pickle-build.js';

const maxText = 1 << 20;
const maxIntegerBytes = 64;

/** The bytes of a pickle, taken from front to back; throws {@link PickleProblem} at their end. */
export class PickleInput {
  readonly #data: Buffer;
  position = 0;

  constructor(bytes: Uint8Array) {
    this.#data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  take(count: number): Buffer {
    if (this.position + count > this.#data.length) throw new PickleProblem('is truncated').at(this.position);
    this.position += count;
    return this.#data.subarray(this.position - count, this.position);
  }

  byte(): number {
    return this.take(1)[0]!;
  }

  /** An unsigned number of 1, 4 or 8 bytes, not above `most`. */
  count(bytes: 1 | 4 | 8, most: number): number {
    const raw = this.take(bytes);
    const value = bytes === 1 ? raw[0]! : bytes === 4 ? raw.readUInt32LE() : Number(raw.readBigUInt64LE());
    if (value > most) throw new PickleProblem(`has the number ${value} where ${most} is the most`);
    return value;
  }

  text(lengthBytes: 1 | 4 | 8): string {
    return this.take(this.count(lengthBytes, maxText)).toString('utf8');
  }

  bytes(lengthBytes: 1 | 4 | 8): Uint8Array {
    return Uint8Array.from(this.take(this.count(lengthBytes, maxText)));
  }

  /** Two's complement, little-endian. */
  integer(lengthBytes: 1 | 4): number | bigint {
    const bytes = this.take(this.count(lengthBytes, maxIntegerBytes));
    let value = 0n;
    for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
    value = BigInt.asIntN(8 * bytes.length, value);
    const small = Number(value);
    return Number.isSafeInteger(small) ? small : value;
  }

  /** Text up to the next line feed. */
  line(): string {
    const end = this.#data.indexOf(0x0a, this.position);
    if (end < 0 || end - this.position > maxText) throw new PickleProblem('is truncated');
    const text = this.#data.toString('utf8', this.position, end);
    this.position = end + 1;
    return text;
  }
}
