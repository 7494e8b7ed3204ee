import type { Mask } from '../../masks/mask.js';
import { checkSameSize, maskToPixels } from '../../masks/pixels.js';

/**
 * F of DAVIS (Perazzi et al., CVPR 2016, §4): F-measure of two masks' boundaries, where boundary pixels match within
 * ⌈0.008 · diagonal⌉ pixels. 1 if neither mask has a boundary, 0 if only one has. Throws `RvosError` BAD_ARGUMENT when
 * sizes differ.
 */
export function boundaryAccuracy(truth: Mask, predicted: Mask): number {
  checkSameSize(truth, predicted);
  const radius = boundaryTolerance(truth.height, truth.width);
  const truthBoundary = boundary(truth);
  const predictedBoundary = boundary(predicted);
  if (truthBoundary.count === 0 || predictedBoundary.count === 0) {
    return truthBoundary.count === predictedBoundary.count ? 1 : 0;
  }
  const precision = matched(predictedBoundary, dilate(truthBoundary, radius)) / predictedBoundary.count;
  const recall = matched(truthBoundary, dilate(predictedBoundary, radius)) / truthBoundary.count;
  return precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall);
}

/** Distance in pixels within which boundaries match. */
export function boundaryTolerance(height: number, width: number): number {
  return Math.ceil(0.008 * Math.hypot(height, width));
}

interface PixelSet {
  readonly width: number;
  readonly height: number;
  /** 1 where a pixel belongs to the set. */
  readonly pixels: Uint8Array;
  readonly count: number;
}

/** Pixels that differ from their east, south or south-east neighbour; the last row looks east only, the last column south. */
function boundary(mask: Mask): PixelSet {
  const { width, height } = mask;
  const inside = maskToPixels(mask, 1);
  const pixels = new Uint8Array(width * height);
  let count = 0;
  for (let y = 0; y < height; y++) {
    const down = y + 1 < height ? width : 0;
    for (let x = 0; x < width; x++) {
      const right = x + 1 < width ? 1 : 0;
      const at = y * width + x;
      const own = inside[at]!;
      if (own !== inside[at + right] || own !== inside[at + down] || own !== inside[at + down + right]) {
        pixels[at] = 1;
        count++;
      }
    }
  }
  return { width, height, pixels, count };
}

/** All pixels within `radius` of one of the set: x² + y² ≤ radius². */
function dilate({ width, height, pixels }: PixelSet, radius: number): Uint8Array {
  const reach = Array.from({ length: radius + 1 }, (_, dy) => Math.floor(Math.sqrt(radius * radius - dy * dy)));
  const dilated = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      if (pixels[y * width + x] === 0) continue;
      for (let row = Math.max(0, y - radius); row <= Math.min(height - 1, y + radius); row++) {
        const half = reach[Math.abs(row - y)]!;
        const from = row * width + Math.max(0, x - half);
        const to = row * width + Math.min(width - 1, x + half);
        dilated.fill(1, from, to + 1);
      }
    }
  }
  return dilated;
}

function matched({ pixels }: PixelSet, near: Uint8Array): number {
  let count = 0;
  for (let i = 0; i < pixels.length; i++) count += pixels[i]! & near[i]!;
  return count;
}
