import { loadCore } from '../native/load-core.js';

/** IoU over the shared frames from which on two masks are taken for the same object. */
const sameObject = 0.5;

export interface LinkJob {
  /** float32 [T,N,K]: mask kernels of all object queries. */
  readonly kernels: Float32Array;
  /** float32 [T,K,fh,fw] */
  readonly features: Float32Array;
  readonly objectQueries: number;
  readonly kernelSize: number;
  readonly featureHeight: number;
  readonly featureWidth: number;
  /** Bit-packed masks [H,W] that the sentence got in the first frames, from the window before. */
  readonly previous: readonly Uint8Array[];
  readonly height: number;
  readonly width: number;
}

/**
 * The object query whose masks overlap `previous` most, all shared frames counted together; undefined if none exceeds an
 * IoU of 0.5. Compared on the grid of the mask features (a quarter of the network's input size): there a mask is the
 * sign of kernel · features, and the earlier masks are read at the centres of the same cells.
 */
export async function linkedObjectQuery(job: LinkJob): Promise<number | undefined> {
  const { featureHeight, featureWidth, kernelSize, objectQueries } = job;
  const cells = featureHeight * featureWidth;
  const bytes = Math.ceil(cells / 8);
  const frames = job.previous.length;
  const earlier = job.previous.map((mask) => sampleAtCells(mask, job));
  const core = loadCore();
  const kernels = new Float32Array(frames * kernelSize);
  const target = new Uint8Array(frames * bytes);
  let best: number | undefined;
  let bestOverlap = sameObject;
  for (let query = 0; query < objectQueries; query++) {
    for (let t = 0; t < frames; t++) {
      const at = (t * objectQueries + query) * kernelSize;
      kernels.set(job.kernels.subarray(at, at + kernelSize), t * kernelSize);
    }
    await core.maskHead({
      kernels,
      features: job.features.subarray(0, frames * kernelSize * cells),
      frames,
      kernelSize,
      featureHeight,
      featureWidth,
      paddedHeight: featureHeight,
      paddedWidth: featureWidth,
      resizedHeight: featureHeight,
      resizedWidth: featureWidth,
      height: featureHeight,
      width: featureWidth,
      target,
    });
    let intersection = 0;
    let union = 0;
    earlier.forEach((mask, t) => {
      const overlap = core.maskOverlap(mask, target.subarray(t * bytes, (t + 1) * bytes));
      intersection += overlap.intersection;
      union += overlap.union;
    });
    if (union > 0 && intersection / union > bestOverlap) {
      best = query;
      bestOverlap = intersection / union;
    }
  }
  return best;
}

function sampleAtCells(mask: Uint8Array, job: LinkJob): Uint8Array {
  const { featureHeight, featureWidth, height, width } = job;
  const cells = new Uint8Array(Math.ceil((featureHeight * featureWidth) / 8));
  let cell = 0;
  for (let y = 0; y < featureHeight; y++) {
    const row = Math.min(height - 1, Math.floor(((y + 0.5) * height) / featureHeight)) * width;
    for (let x = 0; x < featureWidth; x++, cell++) {
      const pixel = row + Math.min(width - 1, Math.floor(((x + 0.5) * width) / featureWidth));
      if ((mask[pixel >> 3]! >> (7 - (pixel & 7))) & 1) cells[cell >> 3]! |= 0x80 >> (cell & 7);
    }
  }
  return cells;
}
