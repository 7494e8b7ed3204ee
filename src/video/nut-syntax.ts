import { RvosError } from '../errors.js';
import { type Ratio, sampleAspect } from './sample-aspect.js';

/** The one video stream that ffmpeg was told to write. */
export interface NutVideoStream {
  readonly width: number;
  readonly height: number;
  /** Width of a pixel over its height as it is displayed; 1:1 where the source says nothing. */
  readonly sampleAspect: Ratio;
  /** Seconds a unit of PTS stands for, as a fraction. */
  readonly timeBase: { readonly numerator: number; readonly denominator: number };
}

export interface NutFrameHeader {
  /** Bytes of the frame, prefix included. */
  readonly size: number;
  /** First bytes of the frame where NUT leaves them out of the stream because they are always the same. */
  readonly prefix: Uint8Array;
  readonly pts: number;
  readonly endOfRelevance: boolean;
}

export type NutItem =
  | { readonly kind: 'skipped'; readonly bytes: number }
  | { readonly kind: 'stream'; readonly bytes: number; readonly stream: NutVideoStream }
  | { readonly kind: 'frame'; readonly bytes: number; readonly frame: NutFrameHeader };

/** No packet but a frame's pixels is longer than this in what ffmpeg writes. */
export const maxHeaderBytes = 1 << 20;

const fileId = Buffer.from('nut/multimedia container\0', 'latin1');
const startcodes = {
  main: 0x4e4d7a561f5f04adn,
  stream: 0x4e5311405bf2f9dbn,
  syncpoint: 0x4e4be4adeeca4569n,
} as const;

const flag = {
  endOfRelevance: 2,
  codedPts: 8,
  streamId: 16,
  sizeMsb: 32,
  checksum: 64,
  reserved: 128,
  sideData: 256,
  headerIndex: 1024,
  matchTime: 2048,
  coded: 4096,
  invalid: 8192,
} as const;

interface FrameCode {
  readonly flags: number;
  readonly stream: number;
  readonly sizeMul: number;
  readonly sizeLsb: number;
  readonly ptsDelta: number;
  readonly reserved: number;
  readonly headerIndex: number;
}

/** Thrown by `Cursor` when the bytes end inside an element; never leaves this file. */
const needMore = Symbol('need more bytes');

/** Reads NUT's variable-length numbers. */
class Cursor {
  offset: number;
  constructor(
    readonly bytes: Buffer,
    offset: number,
    readonly end: number,
  ) {
    this.offset = offset;
  }

  byte(): number {
    if (this.offset >= this.end) throw needMore;
    return this.bytes[this.offset++]!;
  }

  /** `v`: seven bits a byte, most significant first. */
  unsigned(): number {
    let value = 0;
    for (;;) {
      const byte = this.byte();
      value = value * 128 + (byte & 0x7f);
      if (value > Number.MAX_SAFE_INTEGER) throw unreadable('a number is too large');
      if ((byte & 0x80) === 0) return value;
    }
  }

  /** `s`: 0, 1, −1, 2, −2 … */
  signed(): number {
    const value = this.unsigned() + 1;
    return value % 2 === 1 ? -Math.floor(value / 2) : value / 2;
  }

  take(length: number): Buffer {
    if (this.offset + length > this.end) throw needMore;
    this.offset += length;
    return this.bytes.subarray(this.offset - length, this.offset);
  }
}

/** Knows NUT's elements (version 3, ffmpeg's "NUT open container format"); holds the tables that headers depend on. */
export class NutSyntax {
  #started = false;
  #codes: FrameCode[] = [];
  #elisions: Uint8Array[] = [new Uint8Array(0)];
  #timeBases: { numerator: number; denominator: number }[] = [];
  #timeBase = 0;
  #msbPtsShift = 0;
  #lastPts = 0;
  #haveStream = false;

  /** The element that starts at the first byte; null when more bytes are needed to know it. */
  next(chunk: Buffer): NutItem | null {
    try {
      return this.#next(chunk);
    } catch (reason) {
      if (reason === needMore) return null;
      throw reason;
    }
  }

  #next(chunk: Buffer): NutItem {
    if (!this.#started) {
      const cursor = new Cursor(chunk, 0, chunk.length);
      if (!cursor.take(fileId.length).equals(fileId)) throw unreadable('it is not NUT');
      this.#started = true;
      return { kind: 'skipped', bytes: fileId.length };
    }
    // Every startcode begins with 'N', which is therefore no frame code.
    return chunk[0] === 0x4e ? this.#packet(chunk) : this.#frame(chunk);
  }

  #packet(chunk: Buffer): NutItem {
    const head = new Cursor(chunk, 0, chunk.length);
    const startcode = head.take(8).readBigUInt64BE();
    const length = head.unsigned();
    if (length > maxHeaderBytes) throw unreadable('a header is too long');
    if (length > 4096) head.take(4); // checksum of this head; the pipe does not corrupt
    const start = head.offset;
    head.take(length);
    const body = new Cursor(chunk, start, start + length - 4);
    const bytes = start + length;
    try {
      if (startcode === startcodes.main) this.#mainHeader(body);
      else if (startcode === startcodes.syncpoint) this.#syncpoint(body);
      else if (startcode === startcodes.stream) return { kind: 'stream', bytes, stream: this.#streamHeader(body) };
    } catch (reason) {
      throw reason === needMore ? unreadable('a header is cut off') : reason;
    }
    return { kind: 'skipped', bytes };
  }

  #mainHeader(body: Cursor): void {
    const version = body.unsigned();
    if (version < 2 || version > 4) throw unreadable(`NUT version ${version}`);
    if (version > 3) body.unsigned();
    if (body.unsigned() !== 1) throw unreadable('more than one stream');
    body.unsigned(); // max_distance
    this.#timeBases = Array.from({ length: bounded(body.unsigned(), 16) }, () => ({
      numerator: body.unsigned(),
      denominator: body.unsigned(),
    }));
    this.#codes = readFrameCodes(body);
    const count = bounded(body.unsigned(), 128);
    this.#elisions = [new Uint8Array(0)];
    for (let i = 0; i < count; i++) this.#elisions.push(Uint8Array.from(body.take(body.unsigned())));
  }

  #streamHeader(body: Cursor): NutVideoStream {
    if (this.#haveStream) throw unreadable('the stream changes midway');
    this.#haveStream = true;
    body.unsigned(); // stream_id
    if (body.unsigned() !== 0) throw unreadable('not a video stream');
    const fourcc = body.take(body.unsigned()).toString('latin1');
    if (fourcc !== 'RGB\x18') throw unreadable(`pixel format ${JSON.stringify(fourcc)}`);
    this.#timeBase = body.unsigned();
    this.#msbPtsShift = bounded(body.unsigned(), 30);
    body.unsigned(); // max_pts_distance
    body.unsigned(); // decode_delay
    body.unsigned(); // stream_flags
    body.take(body.unsigned()); // codec_specific_data
    const width = body.unsigned();
    const height = body.unsigned();
    const aspect = sampleAspect(body.unsigned(), body.unsigned());
    const timeBase = this.#timeBases[this.#timeBase];
    if (timeBase === undefined || timeBase.numerator === 0 || timeBase.denominator === 0 || width * height === 0) {
      throw unreadable('a stream without size or time base');
    }
    return { width, height, sampleAspect: aspect, timeBase };
  }

  /** A syncpoint states the time anew, in the time base it names. */
  #syncpoint(body: Cursor): void {
    const coded = body.unsigned();
    const from = this.#timeBases[coded % this.#timeBases.length];
    const to = this.#timeBases[this.#timeBase];
    if (from === undefined || to === undefined) throw unreadable('a syncpoint before the headers');
    const value = BigInt(Math.floor(coded / this.#timeBases.length));
    const scaled = value * BigInt(from.numerator) * BigInt(to.denominator);
    this.#lastPts = Number(scaled / (BigInt(from.denominator) * BigInt(to.numerator)));
  }

  #frame(chunk: Buffer): NutItem {
    const cursor = new Cursor(chunk, 0, chunk.length);
    const code = this.#codes[cursor.byte()];
    if (code === undefined || (code.flags & flag.invalid) !== 0) throw unreadable('an invalid frame code');
    let { flags, headerIndex, reserved } = code;
    if (flags & flag.coded) flags ^= cursor.unsigned();
    const stream = flags & flag.streamId ? cursor.unsigned() : code.stream;
    if (stream !== 0) throw unreadable('a frame of an unknown stream');
    let pts = this.#lastPts + code.ptsDelta;
    if (flags & flag.codedPts) pts = this.#fullPts(cursor.unsigned());
    let size = code.sizeLsb;
    if (flags & flag.sizeMsb) size += code.sizeMul * cursor.unsigned();
    if (flags & flag.matchTime) cursor.signed();
    if (flags & flag.headerIndex) headerIndex = cursor.unsigned();
    if (flags & flag.reserved) reserved = cursor.unsigned();
    for (let i = 0; i < reserved; i++) cursor.unsigned();
    if (flags & flag.checksum) cursor.take(4);
    if (flags & flag.sideData) throw unreadable('frames with side data');
    const prefix = this.#elisions[headerIndex];
    if (prefix === undefined || prefix.length > size) throw unreadable('an unknown elision header');
    this.#lastPts = pts;
    const endOfRelevance = (flags & flag.endOfRelevance) !== 0;
    return { kind: 'frame', bytes: cursor.offset, frame: { size, prefix, pts, endOfRelevance } };
  }

  /** PTS are written as their low bits where these suffice to find the value next to the last one. */
  #fullPts(coded: number): number {
    const range = 2 ** this.#msbPtsShift;
    if (coded >= range) return coded - range;
    const base = this.#lastPts - Math.floor((range - 1) / 2);
    return base + ((((coded - base) % range) + range) % range);
  }
}

function bounded(value: number, limit: number): number {
  if (value > limit) throw unreadable('a number in a header is too large');
  return value;
}

/** The table of 256 frame codes, run-length coded with every field defaulting to the entry before. */
function readFrameCodes(body: Cursor): FrameCode[] {
  const codes: FrameCode[] = [];
  let ptsDelta = 0;
  let sizeMul = 1;
  let stream = 0;
  let headerIndex = 0;
  while (codes.length < 256) {
    const flags = body.unsigned();
    const fields = body.unsigned();
    if (fields > 0) ptsDelta = body.signed();
    if (fields > 1) sizeMul = body.unsigned();
    if (fields > 2) stream = body.unsigned();
    const sizeLsb = fields > 3 ? body.unsigned() : 0;
    const reserved = fields > 4 ? body.unsigned() : 0;
    const count = fields > 5 ? body.unsigned() : sizeMul - sizeLsb;
    if (fields > 6) body.signed(); // match_time_delta
    if (fields > 7) headerIndex = body.unsigned();
    for (let i = 8; i < fields; i++) body.unsigned();
    for (let i = 0; i < count && codes.length < 256; ) {
      const invalid = codes.length === 0x4e;
      const entry = { flags, stream, sizeMul, sizeLsb: sizeLsb + i, ptsDelta, reserved, headerIndex };
      codes.push(invalid ? { ...entry, flags: flag.invalid } : entry);
      if (!invalid) i++;
    }
  }
  return codes;
}

export function unreadable(what: string): RvosError {
  return new RvosError(
    'FFMPEG_FAILED',
    `the decoder's output cannot be read: ${what}`,
    'Update ffmpeg, or point RVOS_FFMPEG at another build of it (5.1 or newer).',
  );
}
