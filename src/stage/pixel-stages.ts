import { RvosError } from '../errors.js';
import { maskByteLength } from '../masks/mask.js';
import { maskToPixels } from '../masks/pixels.js';
import type { ModelFolder } from '../model/model-folder.js';
import { loadCore } from '../native/load-core.js';
import { networkSize, type Size } from '../preprocess/size-rule.js';
import { float32Tensor } from '../tensors/tensor.js';
import type { Outputs } from './network-inputs.js';
import type { StageInputs } from './stage-inputs.js';

export interface PreprocessOptions {
  /** Pixels; the model's own where left out. */
  readonly shortSide?: number;
  readonly longSide?: number;
  readonly antialias?: boolean;
}

/** `frames` U8 [T,H,W,3] RGB → `frames` F32 [1,T,3,h,w], resized and normalised (model-spec §8.3). */
export async function runPreprocess(
  model: ModelFolder,
  inputs: StageInputs,
  options: PreprocessOptions,
): Promise<Outputs> {
  const { data, shape } = inputs.bytes('frames', [null, null, null, 3]);
  const [frames, height, width] = shape as [number, number, number, number];
  const { preprocessing } = model;
  const size = networkSize(
    { height, width },
    {
      shortSide: options.shortSide ?? preprocessing.shortSide,
      longSide: options.longSide ?? preprocessing.longSide,
    },
  );
  const resized = new Uint8Array(frames * size.height * size.width * 3);
  const core = loadCore();
  for (let t = 0; t < frames; t++) {
    await core.resize({
      source: data.subarray(t * height * width * 3, (t + 1) * height * width * 3),
      height,
      width,
      target: resized.subarray(t * size.height * size.width * 3, (t + 1) * size.height * size.width * 3),
      targetHeight: size.height,
      targetWidth: size.width,
      antialias: options.antialias ?? preprocessing.antialias,
    });
  }
  const target = new Float32Array(resized.length);
  const { mean, std } = preprocessing;
  await core.normalise({ source: resized, frames, height: size.height, width: size.width, mean, std, target });
  return new Map([['frames', float32Tensor([1, frames, 3, size.height, size.width], target)]]);
}

export interface MaskHeadSizes {
  /** Size of the network's input, batch padding included; logits are upsampled to it. */
  readonly padded: Size;
  /** The clip's own part of it. */
  readonly resized: Size;
  /** Size of the masks. */
  readonly original: Size;
}

/** `mask_kernels` F32 [P,T,K], `mask_features` F32 [P,T,K,h/4,w/4] → `masks` U8 [P,T,H,W] of 0/1 (model-spec §8.1). */
export async function runMaskHead(inputs: StageInputs, { padded, resized, original }: MaskHeadSizes): Promise<Outputs> {
  if (resized.height > padded.height || resized.width > padded.width) {
    throw new RvosError(
      'BAD_ARGUMENT',
      'the resized size exceeds the padded size',
      'Give --padded-size ≥ --resized-size.',
    );
  }
  const kernels = inputs.floats('mask_kernels', [null, null, null]);
  const [sentences, frames, kernelSize] = kernels.shape as [number, number, number];
  const features = inputs.floats('mask_features', [sentences, frames, kernelSize, null, null]);
  const [featureHeight, featureWidth] = features.shape.slice(3) as [number, number];
  const { height, width } = original;
  const bytes = maskByteLength(width, height);
  const masks = new Uint8Array(sentences * frames * height * width);
  for (let p = 0; p < sentences; p++) {
    const target = new Uint8Array(frames * bytes);
    const part = (data: Float32Array) =>
      data.subarray((p * data.length) / sentences, ((p + 1) * data.length) / sentences);
    await loadCore().maskHead({
      kernels: part(kernels.data),
      features: part(features.data),
      frames,
      kernelSize,
      featureHeight,
      featureWidth,
      paddedHeight: padded.height,
      paddedWidth: padded.width,
      resizedHeight: resized.height,
      resizedWidth: resized.width,
      height,
      width,
      target,
    });
    for (let t = 0; t < frames; t++) {
      const bits = target.subarray(t * bytes, (t + 1) * bytes);
      masks.set(maskToPixels({ width, height, bits }, 1), (p * frames + t) * height * width);
    }
  }
  return new Map([['masks', { dtype: 'U8', shape: [sentences, frames, height, width], data: masks }]]);
}
