import { RvosError } from '../../errors.js';
import { type Processor, processor } from './processor.js';
import type { CpuRuntimeName } from './runtime.js';

/** What users may ask a CPU backend to compute in. */
export const computePrecisions = ['auto', 'fp32', 'bf16'] as const;
export type ComputePrecision = (typeof computePrecisions)[number];

export interface ChosenPrecision {
  readonly precision: 'fp32' | 'bf16';
  /** Why, in words. */
  readonly reason: string;
}

/**
 * What a runtime computes in on this machine. Throws `RvosError` BACKEND_UNAVAILABLE where the processor cannot multiply
 * bfloat16: emulated it would be slower than FP32, and less exact.
 */
export function choosePrecision(
  runtime: CpuRuntimeName,
  asked: ComputePrecision = 'auto',
  { bfloat16, model }: Pick<Processor, 'bfloat16' | 'model'> = processor(),
): ChosenPrecision {
  if (runtime === 'onnxruntime' && asked === 'bf16') {
    throw new RvosError(
      'BACKEND_UNAVAILABLE',
      'ONNX Runtime does not compute in bf16 on a CPU',
      'Use --backend openvino, or --precision fp32.',
    );
  }
  if (asked === 'fp32') return { precision: 'fp32', reason: 'it was asked for' };
  if (asked === 'bf16' && bfloat16 === undefined) {
    throw new RvosError(
      'BACKEND_UNAVAILABLE',
      `the processor (${model}) does not multiply bf16`,
      'Use --precision auto or fp32; bf16 takes AMX or AVX512-BF16.',
    );
  }
  if (asked === 'bf16') return { precision: 'bf16', reason: 'it was asked for' };
  if (runtime === 'onnxruntime') return { precision: 'fp32', reason: 'ONNX Runtime has no other' };
  return bfloat16 === undefined
    ? { precision: 'fp32', reason: 'the processor does not multiply bf16' }
    : { precision: 'bf16', reason: `the processor has ${bfloat16}` };
}
