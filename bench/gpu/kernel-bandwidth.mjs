// Bytes that our kernels must read and write for one window, and what of the copy bandwidth they reach.
import { levelSizes } from '../../dist/model/stages/stage-options.js';

/** Each byte counted once, however often a cache gives it again. */
export function kernelBytes({ model, size, source, frames, sentences }) {
  const { mask_kernels_dim: kernelSize, num_queries: queries } = model.architecture.mttr;
  const [[featureHeight, featureWidth]] = levelSizes(size.height, size.width);
  const preprocess = frames * (source.height * source.width * 3 + size.height * size.width * 3 * 2);
  const perFrame =
    kernelSize * featureHeight * featureWidth * 2 +
    queries * kernelSize * 4 +
    Math.ceil((source.height * source.width) / 8);
  return { preprocess, 'mask-head': frames * sentences * perFrame };
}

/**
 * Shares of the copy bandwidth. `ofLarge`: of a copy that is larger than any cache; `ofEqual`: of a copy of just as many
 * bytes, which has the same launch cost and cache.
 */
export async function kernelShares({ addon, device, stages, bytes, windows, largeCopy }) {
  const shares = {};
  for (const [kernel, perWindow] of Object.entries(bytes)) {
    const milliseconds = stages[kernel];
    if (!(milliseconds > 0)) continue;
    const rate = perWindow / (milliseconds / 1000);
    // A copy reads and writes its bytes.
    const half = Math.max(1, Math.round((perWindow * windows) / 2));
    const equal = await addon.measureCopies({ device: device.index, bytes: half, runs: 50 });
    shares[kernel] = {
      bytesPerWindow: perWindow,
      bytesPerSecond: rate,
      ofLarge: rate / largeCopy.onDevice,
      ofEqual: rate / equal.onDevice,
    };
  }
  return shares;
}
