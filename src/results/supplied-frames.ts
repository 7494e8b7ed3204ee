import { RvosError } from '../errors.js';
import type { RgbFrame, VideoInfo } from '../video/frame.js';
import type { FrameSource } from './segmentation-stream.js';

/** The part of an OpenCV Mat (`@u4/opencv4nodejs`) that is needed: 8-bit BGR. */
export interface MatLike {
  readonly rows: number;
  readonly cols: number;
  readonly channels: number;
  /** A copy of the pixels, row after row. */
  getData(): Uint8Array;
}

/** Frames as the caller has them. A frame without `time` gets index / frame rate. */
export type SuppliedFrame = (Omit<RgbFrame, 'time'> & { readonly time?: number }) | MatLike;
export type SuppliedFrames = AsyncIterable<SuppliedFrame> | Iterable<SuppliedFrame>;

export interface FrameOptions {
  /** Frames per second, for frames that bring no time; default 25. */
  readonly frameRate?: number;
}

const maxPixels = 2 ** 25;

/**
 * Frames of the caller's as a source. Waits for the first frame, whose size is that of all. Throws `RvosError` NO_FRAMES,
 * BAD_FRAME_SIZE, BAD_ARGUMENT.
 */
export async function frameSource(frames: SuppliedFrames, options: FrameOptions = {}): Promise<FrameSource> {
  const { frameRate = 25 } = options;
  if (!(frameRate > 0 && frameRate < Number.POSITIVE_INFINITY)) {
    throw new RvosError('BAD_ARGUMENT', `frame rate ${frameRate} is no frame rate`, 'Give frames per second.');
  }
  const iterator = iterate(frames);
  const first = await iterator.next();
  if (first.done) throw new RvosError('NO_FRAMES', 'no frames were supplied', 'Supply at least one frame.');
  const head = toRgb(first.value, 0, frameRate);
  const { width, height } = head;
  const info: VideoInfo = { source: 'supplied frames', width, height, frameRate, duration: null, hasAudio: false };
  const close = async () => {
    // Not awaited: a generator that waits for its next frame cannot return before that comes.
    void Promise.resolve(iterator.return?.()).catch(() => undefined);
  };
  return {
    info,
    warnings: [],
    async *frames() {
      yield head;
      for (let index = 1; ; index++) {
        const next = await iterator.next();
        if (next.done) return;
        yield sameSize(toRgb(next.value, index, frameRate), index, head);
      }
    },
    close,
  };
}

function iterate(frames: SuppliedFrames): AsyncIterator<SuppliedFrame> | Iterator<SuppliedFrame> {
  return Symbol.asyncIterator in frames ? frames[Symbol.asyncIterator]() : frames[Symbol.iterator]();
}

function toRgb(frame: SuppliedFrame, index: number, frameRate: number): RgbFrame {
  const rgb: Omit<RgbFrame, 'time'> & { time?: number } = 'getData' in frame ? matToRgb(frame, index) : frame;
  const { width, height, data, time = index / frameRate } = rgb;
  const sizes = Number.isInteger(width) && Number.isInteger(height) && width >= 1 && height >= 1;
  if (!sizes || width * height > maxPixels || !(data instanceof Uint8Array) || data.length !== width * height * 3) {
    throw new RvosError(
      'BAD_FRAME_SIZE',
      `frame ${index} does not hold ${width}x${height} RGB pixels`,
      `data is a Uint8Array of width·height·3 bytes, at most ${maxPixels} pixels.`,
    );
  }
  return { width, height, data, time };
}

function sameSize(frame: RgbFrame, index: number, first: RgbFrame): RgbFrame {
  if (frame.width === first.width && frame.height === first.height) return frame;
  throw new RvosError(
    'BAD_FRAME_SIZE',
    `frame ${index} has ${frame.width}x${frame.height} pixels, the first has ${first.width}x${first.height}`,
    'All frames of a video must have one size.',
  );
}

/** OpenCV keeps blue first. */
function matToRgb(mat: MatLike, index: number): Omit<RgbFrame, 'time'> {
  const { rows: height, cols: width, channels } = mat;
  const bgr = mat.getData();
  if (channels !== 3 || bgr.length !== width * height * 3) {
    throw new RvosError(
      'BAD_FRAME_SIZE',
      `Mat ${index} is not 8-bit BGR (${channels} channels, ${bgr.length} bytes for ${width}x${height})`,
      'Convert it to CV_8UC3 first.',
    );
  }
  const data = new Uint8Array(bgr.length);
  for (let i = 0; i < bgr.length; i += 3) {
    data[i] = bgr[i + 2]!;
    data[i + 1] = bgr[i + 1]!;
    data[i + 2] = bgr[i]!;
  }
  return { width, height, data };
}
