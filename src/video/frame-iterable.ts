import { RvosError } from '../errors.js';
import type { RgbFrame } from './frame.js';
import { checkFrameSize } from './frame-size.js';

/** A frame as users bring it: RGB, uint8 [height, width, 3]; its time in seconds, or else its number. */
export interface RgbFrameLike {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array | Uint8ClampedArray;
  readonly time?: number;
  readonly index?: number;
}

/** The part of an OpenCV matrix that is read: `CV_8UC3` (BGR), `CV_8UC4` (BGRA) or `CV_8UC1` (grey), rows × cols. */
export interface MatLike {
  readonly rows: number;
  readonly cols: number;
  readonly channels: number;
  /** 0 is `CV_8U`, the only one that is read. */
  readonly depth?: number;
  getData(): Uint8Array;
}

export type FrameLike = RgbFrameLike | MatLike;

export interface FrameIterableOptions {
  /** Frames per second for frames without a time of their own; default 25. */
  readonly frameRate?: number;
}

/** Makes one checked frame. `index` is its number, used where it brings neither time nor index. Throws BAD_ARGUMENT, BAD_FRAME_SIZE. */
export function toRgbFrame(frame: FrameLike, index: number, frameRate: number): RgbFrame {
  const name = `frame ${index}`;
  if (isMat(frame)) {
    const { rows: height, cols: width } = frame;
    checkSize(name, width, height);
    return { width, height, data: matToRgb(frame, name), time: index / frameRate };
  }
  if (typeof frame !== 'object' || frame === null || !ArrayBuffer.isView(frame.data)) {
    throw bad(`${name} is neither {width, height, data} nor an OpenCV Mat`);
  }
  const { width, height, data } = frame;
  checkSize(name, width, height);
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) throw bad(`${name}: its data is not uint8`);
  if (data.length !== width * height * 3) {
    throw bad(`${name}: data has ${data.length} bytes instead of ${width * height * 3} (${width}×${height}, RGB)`);
  }
  const time = frame.time ?? (frame.index ?? index) / frameRate;
  if (!Number.isFinite(time) || time < 0) throw bad(`${name}: ${time} is not a time`);
  return { width, height, data: new Uint8Array(data.buffer, data.byteOffset, data.length), time };
}

/**
 * Turns any iterable of frames or OpenCV Mats into checked frames: all of one size, times growing. Data of frames is not
 * copied. Throws BAD_ARGUMENT (wrong length, type or time), BAD_FRAME_SIZE (too large, or another size than the first).
 */
export async function* toRgbFrames(
  frames: AsyncIterable<FrameLike> | Iterable<FrameLike>,
  options: FrameIterableOptions = {},
): AsyncGenerator<RgbFrame, void, undefined> {
  const { frameRate = 25 } = options;
  if (!Number.isFinite(frameRate) || frameRate <= 0) throw bad(`frame rate ${frameRate} is not a positive number`);
  let index = 0;
  let first: RgbFrame | null = null;
  let last = Number.NEGATIVE_INFINITY;
  for await (const each of frames) {
    const frame = toRgbFrame(each, index, frameRate);
    first ??= frame;
    if (frame.width !== first.width || frame.height !== first.height) {
      throw new RvosError(
        'BAD_FRAME_SIZE',
        `frame ${index} has ${frame.width}×${frame.height} pixels, the first one ${first.width}×${first.height}`,
        'Give frames of one size.',
      );
    }
    if (frame.time <= last) throw bad(`frame ${index}: its time ${frame.time} s is not after the one before`);
    last = frame.time;
    index++;
    yield frame;
  }
}

/** The same for OpenCV Mats alone, such as `VideoCapture.read()` gives: frame i at i / frame rate seconds. */
export function framesFromMats(
  mats: AsyncIterable<MatLike> | Iterable<MatLike>,
  options: FrameIterableOptions = {},
): AsyncGenerator<RgbFrame, void, undefined> {
  return toRgbFrames(mats, options);
}

function isMat(frame: FrameLike): frame is MatLike {
  return typeof frame === 'object' && frame !== null && 'getData' in frame && typeof frame.getData === 'function';
}

/** OpenCV keeps blue first; the result is RGB, row-major, uint8 [rows, cols, 3]. */
export function matToRgb(mat: MatLike, name = 'a Mat'): Uint8Array {
  const { rows, cols, channels } = mat;
  if (mat.depth !== undefined && mat.depth !== 0) throw bad(`${name}: only 8-bit Mats (CV_8U) are read`);
  if (channels !== 1 && channels !== 3 && channels !== 4) throw bad(`${name}: a Mat with ${channels} channels`);
  const data = mat.getData();
  const pixels = rows * cols;
  if (data.length !== pixels * channels)
    throw bad(`${name}: the Mat's data has ${data.length} bytes instead of ${pixels * channels}`);
  const rgb = new Uint8Array(pixels * 3);
  if (channels === 1) {
    for (let i = 0; i < pixels; i++) rgb[3 * i] = rgb[3 * i + 1] = rgb[3 * i + 2] = data[i]!;
    return rgb;
  }
  for (let from = 0, to = 0; to < rgb.length; from += channels, to += 3) {
    rgb[to] = data[from + 2]!;
    rgb[to + 1] = data[from + 1]!;
    rgb[to + 2] = data[from]!;
  }
  return rgb;
}

function checkSize(name: string, width: number, height: number): void {
  if (!Number.isInteger(width) || !Number.isInteger(height)) throw bad(`${name}: ${width}×${height} is no size`);
  checkFrameSize(name, width, height);
}

function bad(message: string): RvosError {
  return new RvosError('BAD_ARGUMENT', message, 'Give {width, height, data} with RGB bytes, or OpenCV Mats of 8 bits.');
}
