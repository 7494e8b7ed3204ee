/** Conversions between float32 and the two 16-bit formats, whole arrays at a time. */

const halfMax = 65504;

/** Result of {@link toHalf}: the first value FP16 cannot hold, if there is one. */
export interface HalfOverflow {
  readonly index: number;
  readonly value: number;
}

/**
 * float32 → IEEE binary16, rounded to nearest, ties to even; subnormals kept. Stops at the first value that is not
 * finite or would round beyond ±65504 and returns it.
 */
export function toHalf(source: Float32Array, target: Uint16Array): HalfOverflow | undefined {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i]!;
    const sign = (b >>> 16) & 0x8000;
    const magnitude = b & 0x7fffffff;
    if (magnitude >= 0x477ff000) return { index: i, value: source[i]! };
    if (magnitude >= 0x38800000) {
      // Normal: rebias the exponent (127 → 15) and round 13 bits away; a carry into the exponent is right.
      const rounded = magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1);
      target[i] = sign | (rounded >>> 13);
    } else if (magnitude > 0x33000000) {
      // Subnormal: shift the mantissa with its hidden bit into place and round what falls off.
      const shift = 126 - (magnitude >>> 23);
      const mantissa = (magnitude & 0x7fffff) | 0x800000;
      const kept = mantissa >>> shift;
      const rest = mantissa & ((1 << shift) - 1);
      const half = 1 << (shift - 1);
      target[i] = sign | (kept + (rest > half || (rest === half && (kept & 1) === 1) ? 1 : 0));
    } else {
      target[i] = sign; // at most half of the smallest subnormal
    }
  }
  return undefined;
}

/** IEEE binary16 → float32, exact; infinities and NaN stay what they are. */
export function fromHalf(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) {
    const h = source[i]!;
    const sign = (h & 0x8000) << 16;
    const exponent = (h >>> 10) & 31;
    const mantissa = h & 0x3ff;
    if (exponent === 0) target[i] = (sign === 0 ? 1 : -1) * mantissa * 2 ** -24;
    else if (exponent === 31) bits[i] = sign | 0x7f800000 | (mantissa << 13);
    else bits[i] = sign | ((exponent + 112) << 23) | (mantissa << 13);
  }
  return target;
}

/** bfloat16 → float32, exact. */
export function fromBfloat16(source: Uint16Array, target = new Float32Array(source.length)): Float32Array {
  const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
  return target;
}

/** Largest finite FP16 value, for messages. */
export const largestHalf = halfMax;
