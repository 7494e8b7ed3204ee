import type { Architecture, Precision } from '../architecture.js';
import type { GraphOptions, Sums } from '../onnx/graph-builder.js';
import type { Target } from '../target.js';
import { weightOffsets } from '../weight-layout.js';

export interface StageOptions {
  readonly architecture: Architecture;
  readonly target: Target;
  /** How `weights.bin` stores floats. */
  readonly stored: Precision;
  /** What matrix products compute in; default FP32. */
  readonly compute?: Precision;
  /** TensorRT's FP16 form: what products are summed in (docs/tensorrt-graphs.md). */
  readonly sums?: Sums | undefined;
}

export function graphOptions(name: string, options: StageOptions): GraphOptions {
  return {
    name,
    opset: options.target === 'onnxruntime' ? 23 : 20,
    stored: options.stored,
    compute: options.compute ?? 'fp32',
    sums: options.sums,
    weights: weightOffsets(options.architecture, options.stored).entries,
  };
}

/** Height and width of feature level i: stride 4·2^i, rounded up at each step (model-spec §2). */
export function levelSizes(height: number, width: number, levels = 3): [number, number][] {
  const sizes: [number, number][] = [[Math.ceil(height / 4), Math.ceil(width / 4)]];
  while (sizes.length < levels) {
    const [h, w] = sizes.at(-1)!;
    sizes.push([Math.ceil(h / 2), Math.ceil(w / 2)]);
  }
  return sizes;
}
