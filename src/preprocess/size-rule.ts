import { RvosError } from '../errors.js';
import { roundHalfToEven } from '../round-half-to-even.js';

export interface Size {
  readonly height: number;
  readonly width: number;
}

/** The two numbers a size rule works from, in pixels; the published pipeline uses 360 and 640. */
export interface SizeLimits {
  /** Wanted length of the shorter side. */
  readonly shortSide: number;
  /** The longer side never exceeds this; where it would, the whole frame gets smaller. */
  readonly longSide: number;
}

/** `pipeline`: torchvision's rule, as the published pipeline (`networkSize`); `data-set`: as the original evaluates. */
export type SizeRule = 'pipeline' | 'data-set';

/** How frames of stored pixels become the network's input. */
export interface InputRule extends SizeLimits {
  readonly sizeRule?: SizeRule | undefined;
  /** Displayed width of a stored pixel over its height; default 1. The rule works on the displayed size. */
  readonly pixelAspect?: number | undefined;
}

/** Size of the network's input by the rule that `rule` names; the pipeline's unless told otherwise. */
export function inputSize(frame: Size, rule: InputRule): Size {
  const { height, width } = frame;
  const displayed = { height, width: Math.max(1, Math.round(width * (rule.pixelAspect ?? 1))) };
  return rule.sizeRule === 'data-set' ? dataSetSize(displayed, rule) : networkSize(displayed, rule);
}

/** No network input is longer than this on a side: a guard against options that would ask for terabytes. */
export const maxNetworkSide = 4096;

/**
 * Size of the network's input for frames of height × width: the rule of torchvision's `resize(size, max_size)`
 * (model-spec §8.3), which the published pipeline uses. Throws `RvosError` BAD_ARGUMENT for limits that are no
 * limits and BAD_FRAME_SIZE where a side would vanish.
 */
export function networkSize(frame: Size, limits: SizeLimits): Size {
  checkLimits(limits);
  const { shortSide, longSide } = limits;
  const short = Math.min(frame.height, frame.width);
  const long = Math.max(frame.height, frame.width);
  let newShort = shortSide;
  let newLong = Math.trunc((shortSide * long) / short);
  if (newLong > longSide) {
    // Computed from the already truncated long side, as torchvision does.
    newShort = Math.trunc((longSide * newShort) / newLong);
    newLong = longSide;
  }
  const size =
    frame.width <= frame.height ? { height: newLong, width: newShort } : { height: newShort, width: newLong };
  return checkSize(frame, size);
}

/**
 * The rule of the original data sets (A2D, JHMDB, Refer-YouTube-VOS; model-spec §9.1), which can differ from
 * `networkSize` by a pixel or two. Same errors.
 */
export function dataSetSize(frame: Size, limits: SizeLimits): Size {
  checkLimits(limits);
  const short = Math.min(frame.height, frame.width);
  const long = Math.max(frame.height, frame.width);
  let size = limits.shortSide;
  if ((long / short) * size > limits.longSide) size = roundHalfToEven((limits.longSide * short) / long);
  if (short === size) return { height: frame.height, width: frame.width };
  const other = Math.trunc((size * long) / short);
  return checkSize(frame, frame.width < frame.height ? { height: other, width: size } : { height: size, width: other });
}

function checkLimits({ shortSide, longSide }: SizeLimits): void {
  const whole = Number.isInteger(shortSide) && Number.isInteger(longSide);
  if (!whole || shortSide < 1 || longSide <= shortSide || longSide > maxNetworkSide) {
    throw new RvosError(
      'BAD_ARGUMENT',
      `short side ${shortSide} and long side ${longSide} are no size limits`,
      `Both are whole numbers with 1 ≤ short side < long side ≤ ${maxNetworkSide}; the published values are 360 and 640.`,
    );
  }
}

function checkSize(frame: Size, size: Size): Size {
  if (size.height < 1 || size.width < 1) {
    throw new RvosError(
      'BAD_FRAME_SIZE',
      `frames of ${frame.width}x${frame.height} pixels are too long and thin: the network would see ${size.width}x${size.height}`,
      'Crop the video to a less extreme shape, or raise --long-side.',
    );
  }
  return size;
}
