import { RvosError } from '../errors.js';
import type { Dtype, Tensor } from '../tensors/tensor.js';

/** The named tensors a stage is given; each is checked for presence, type and rank when it is asked for. */
export class StageInputs {
  constructor(
    private readonly stage: string,
    private readonly tensors: ReadonlyMap<string, Tensor>,
  ) {}

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** float32 values and shape; `shape` gives the sizes expected, null where any will do. */
  floats(name: string, shape: readonly (number | null)[]): { data: Float32Array; shape: readonly number[] } {
    const tensor = this.checked(name, 'F32', shape);
    return { data: tensor.data as Float32Array, shape: tensor.shape };
  }

  bytes(name: string, shape: readonly (number | null)[]): { data: Uint8Array; shape: readonly number[] } {
    const tensor = this.checked(name, 'U8', shape);
    return { data: tensor.data as Uint8Array, shape: tensor.shape };
  }

  int64(name: string, shape: readonly (number | null)[]): { data: BigInt64Array; shape: readonly number[] } {
    const tensor = this.checked(name, 'I64', shape);
    return { data: tensor.data as BigInt64Array, shape: tensor.shape };
  }

  /** int32 values, each within [low, high]; `fallback` where the tensor may be left out. */
  int32(name: string, count: number, low: number, high: number, fallback: number): Int32Array {
    if (!this.tensors.has(name)) return new Int32Array(count).fill(fallback);
    const data = this.checked(name, 'I32', [count]).data as Int32Array;
    const wrong = data.find((v) => v < low || v > high);
    if (wrong !== undefined) throw this.bad(`${name} has ${wrong}`, `Each value is from ${low} to ${high}.`);
    return data;
  }

  private checked(name: string, dtype: Dtype, shape: readonly (number | null)[]): Tensor {
    const tensor = this.tensors.get(name);
    const wanted = `${dtype} [${shape.map((n) => n ?? '*').join(', ')}]`;
    if (!tensor)
      throw this.bad(`the inputs have no tensor ${name}`, `The ${this.stage} stage needs ${name} ${wanted}.`);
    const fits =
      tensor.dtype === dtype &&
      tensor.shape.length === shape.length &&
      shape.every((n, i) => tensor.shape[i]! > 0 && (n === null || n === tensor.shape[i]));
    if (!fits) {
      throw this.bad(
        `${name} is ${tensor.dtype} [${tensor.shape.join(', ')}]`,
        `The ${this.stage} stage needs ${wanted}.`,
      );
    }
    return tensor;
  }

  private bad(message: string, hint: string): RvosError {
    return new RvosError('BAD_TENSOR_FILE', message, hint);
  }
}
