import { maxHeaderBytes, type NutFrameHeader, NutSyntax, type NutVideoStream, unreadable } from './nut-syntax.js';

/** What the demuxer needs from whoever consumes its frames. */
export interface NutSink {
  /** Called once, before the first frame. May throw to refuse the video. */
  stream(stream: NutVideoStream): void;
  /** A buffer of exactly `bytes` for the next frame's pixels. */
  allocate(bytes: number): Uint8Array;
  /** A complete frame; `pts` in units of the stream's time base. */
  frame(data: Uint8Array, pts: number): void;
}

/**
 * Push demuxer for one uncompressed RGB video stream in NUT, the container in which ffmpeg hands over its decoded frames:
 * it carries raw RGB natively, streams, and keeps each frame's PTS in the source's own time base, where Matroska would
 * round it to milliseconds. Pixels are copied once, from the pipe's chunk into the frame's own buffer.
 */
export class NutDemuxer {
  readonly #sink: NutSink;
  readonly #syntax = new NutSyntax();
  /** Bytes of a header that is not complete yet. */
  #pending: Buffer = Buffer.alloc(0);
  #frame: { data: Uint8Array; filled: number; pts: number } | null = null;
  #frameBytes = 0;

  constructor(sink: NutSink) {
    this.#sink = sink;
  }

  /** True in the middle of a frame: ffmpeg was cut off. */
  get incomplete(): boolean {
    return this.#frame !== null || this.#pending.length > 0;
  }

  /** Takes the next bytes of the stream. Throws FFMPEG_FAILED if they are not what ffmpeg is known to write. */
  push(bytes: Buffer): void {
    let chunk = bytes;
    while (chunk.length > 0) {
      if (this.#frame !== null) {
        chunk = this.#fill(this.#frame, chunk);
        continue;
      }
      if (this.#pending.length > 0) {
        chunk = Buffer.concat([this.#pending, chunk]);
        this.#pending = Buffer.alloc(0);
      }
      const item = this.#syntax.next(chunk);
      if (item === null) {
        if (chunk.length > maxHeaderBytes) throw unreadable('a header is too long');
        this.#pending = Buffer.from(chunk);
        return;
      }
      chunk = chunk.subarray(item.bytes);
      if (item.kind === 'stream') {
        this.#frameBytes = item.stream.width * item.stream.height * 3;
        this.#sink.stream(item.stream);
      } else if (item.kind === 'frame') {
        this.#begin(item.frame);
      }
    }
  }

  #begin(frame: NutFrameHeader): void {
    if (frame.endOfRelevance && frame.size === 0) return;
    if (frame.size !== this.#frameBytes) {
      throw unreadable(`a frame has ${frame.size} bytes instead of ${this.#frameBytes}`);
    }
    const data = this.#sink.allocate(frame.size);
    data.set(frame.prefix, 0);
    this.#frame = { data, filled: frame.prefix.length, pts: frame.pts };
  }

  #fill(frame: { data: Uint8Array; filled: number; pts: number }, chunk: Buffer): Buffer {
    const take = Math.min(chunk.length, frame.data.length - frame.filled);
    frame.data.set(take === chunk.length ? chunk : chunk.subarray(0, take), frame.filled);
    frame.filled += take;
    if (frame.filled === frame.data.length) {
      this.#frame = null;
      this.#sink.frame(frame.data, frame.pts);
    }
    return chunk.subarray(take);
  }
}
