import { type Dim, type ElementType, GraphBuilder, type Shape, type Value } from './graph-builder.js';

/** Sizes in ONNX's Reshape: 0 keeps an axis, -1 is what remains. */
type Target = readonly (number | string)[];

/**
 * The operators the network is written in. Each takes values whose shapes are known and returns one whose shape is
 * known; sizes that only a run knows are names ('P', 'S').
 */
export class Operators extends GraphBuilder {
  /** x [..., in] · w [in, out] + b. Weights by name: `${name}.weight`, `${name}.bias`. */
  linear(x: Value, name: string): Value {
    return this.product(x, this.weight(`${name}.weight`), this.weight(`${name}.bias`));
  }

  /** x [..., in] · w [in, out] (+ b [out]); as one Gemm where x is a matrix. */
  product(x: Value, w: Value, b?: Value): Value {
    const shape = [...x.shape.slice(0, -1), w.shape[1]!];
    if (x.shape.length === 2 && b && !(x.type === 'float16' && this.sums !== 'fp16'))
      return this.node('Gemm', [x, w, b], x.type, shape);
    const y = this.matrixProduct(x, w, shape);
    return b ? this.add(y, b) : y;
  }

  /** Batched product a [..., m, k] · b [..., k, n]. */
  matmul(a: Value, b: Value): Value {
    const batch = broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2));
    return this.matrixProduct(a, b, [...batch, a.shape.at(-2)!, b.shape.at(-1)!]);
  }

  /**
   * FP16 values summed in FP32: engines make one kernel of the casts and the product, whose sums alone are FP32; of a Gemm
   * in FP32, bias included, they make a kernel that reads and writes FP32.
   */
  private matrixProduct(a: Value, b: Value, shape: Shape): Value {
    if (typeof this.sums !== 'string' && a.type === 'float16')
      return this.roundedProduct(a, b, shape, this.sums.roundEvery);
    if (!this.widens(a)) return this.node('MatMul', [a, b], a.type, shape);
    const wide = this.node('MatMul', [this.cast(a, 'float'), this.cast(b, 'float')], 'float', shape);
    return this.cast(wide, a.type);
  }

  /** Parts of the inner axis, where its length is known, each summed in FP32 and added to an FP16 sum. */
  private roundedProduct(a: Value, b: Value, shape: Shape, step: number): Value {
    const depth = a.shape.at(-1)!;
    const parts = typeof depth === 'number' ? Math.ceil(depth / step) : 1;
    const part = (x: Value, axis: number, i: number) =>
      this.cast(
        typeof depth === 'number' ? this.slice(x, axis, i * step, Math.min((i + 1) * step, depth)) : x,
        'float',
      );
    let sum: Value | undefined;
    for (let i = 0; i < parts; i++) {
      const factors = [part(a, a.shape.length - 1, i), part(b, b.shape.length - 2, i)];
      const wide = this.node('MatMul', factors, 'float', shape);
      sum = this.cast(sum ? this.add(this.cast(sum, 'float'), wide) : wide, a.type);
    }
    return sum!;
  }

  private widens(x: Value): boolean {
    return this.sums === 'fp32' && x.type === 'float16';
  }

  add(a: Value, b: Value): Value {
    return this.binary('Add', a, b);
  }
  sub(a: Value, b: Value): Value {
    return this.binary('Sub', a, b);
  }
  mul(a: Value, b: Value): Value {
    return this.binary('Mul', a, b);
  }
  div(a: Value, b: Value): Value {
    return this.binary('Div', a, b);
  }
  min(a: Value, b: Value): Value {
    return this.binary('Min', a, b);
  }
  equal(a: Value, b: Value): Value {
    return this.node('Equal', [a, b], 'bool', broadcast(a.shape, b.shape));
  }
  less(a: Value, b: Value): Value {
    return this.node('Less', [a, b], 'bool', broadcast(a.shape, b.shape));
  }
  and(a: Value, b: Value): Value {
    return this.node('And', [a, b], 'bool', broadcast(a.shape, b.shape));
  }
  where(condition: Value, a: Value, b: Value): Value {
    return this.node('Where', [condition, a, b], a.type, broadcast(condition.shape, broadcast(a.shape, b.shape)));
  }
  private binary(op: string, a: Value, b: Value): Value {
    return this.node(op, [a, b], a.type, broadcast(a.shape, b.shape));
  }

  relu(x: Value): Value {
    return this.node('Relu', [x], x.type, x.shape);
  }
  /** Exact (erf) GELU. */
  gelu(x: Value): Value {
    if (!this.widens(x)) return this.node('Gelu', [x], x.type, x.shape);
    // 1 + erf loses most of a small value's digits in FP16.
    return this.cast(this.node('Gelu', [this.cast(x, 'float')], 'float', x.shape), x.type);
  }

  /** LayerNorm over the last axis, in FP32 whatever activations are in. */
  layerNorm(x: Value, name: string, epsilon = 1e-5): Value {
    const y = this.node(
      'LayerNormalization',
      [this.cast(x, 'float'), this.weight(`${name}.weight`, 'float'), this.weight(`${name}.bias`, 'float')],
      'float',
      x.shape,
      { axis: -1, epsilon: { float: epsilon } },
    );
    return this.cast(y, x.type);
  }

  /** GroupNorm of x [n, c, h, w] with 8 groups (model-spec §6), in FP32. */
  groupNorm(x: Value, name: string, groups = 8): Value {
    const [n, c, h, w] = x.shape;
    const grouped = this.reshape(this.cast(x, 'float'), [0, groups, -1], [n!, groups, 'group']);
    const scale = this.constant('float', new Array(groups).fill(1));
    const zero = this.constant('float', new Array(groups).fill(0));
    const y = this.node('InstanceNormalization', [grouped, scale, zero], 'float', grouped.shape, {
      epsilon: { float: 1e-5 },
    });
    const back = this.reshape(y, [typeof n === 'number' ? n : -1, c!, h!, w!], x.shape);
    const perChannel = (part: string) => this.reshape(this.weight(`${name}.${part}`, 'float'), [c!, 1, 1]);
    return this.cast(this.add(this.mul(back, perChannel('weight')), perChannel('bias')), x.type);
  }

  /**
   * The same from primitives, for TensorRT: mean and variance of a group become a scale and a shift of each channel, so
   * that what lies between two kernels is x itself and a few numbers, and whatever follows reads x.
   */
  groupNormAsAffine(x: Value, name: string, groups = 8): Value {
    const [n, c, h, w] = x.shape as readonly [Dim, number, number, number];
    const size = (c / groups) * h * w;
    const grouped = this.cast(this.reshape(x, [-1, groups, size], [n, groups, size]), 'float');
    const axis = this.constant('int64', [2]);
    const mean = (y: Value) => this.node('ReduceMean', [y, axis], 'float', [n, groups, 1], { keepdims: 1 });
    const centre = mean(grouped);
    const centred = this.sub(grouped, centre);
    const variance = mean(this.mul(centred, centred));
    const deviation = this.node('Sqrt', [this.add(variance, this.scalar(1e-5, 'float'))], 'float', variance.shape);
    const parameter = (part: string) => this.reshape(this.weight(`${name}.${part}`, 'float'), [groups, c / groups]);
    const scale = this.div(parameter('weight'), deviation);
    const shift = this.sub(parameter('bias'), this.mul(centre, scale));
    const perChannel = (y: Value) => this.reshape(y, [-1, c, 1, 1], [n, c, 1, 1]);
    const y = this.add(this.mul(this.cast(x, 'float'), perChannel(scale)), perChannel(shift));
    return this.cast(y, x.type);
  }

  softmax(x: Value, axis = -1): Value {
    return this.cast(this.node('Softmax', [this.cast(x, 'float')], 'float', x.shape, { axis }), x.type);
  }

  conv(x: Value, name: string, padding: number): Value {
    const w = this.weight(`${name}.weight`);
    const [n, , h, width] = x.shape;
    const kernel = w.shape[2] as number;
    const shape = [n!, w.shape[0]!, h!, width!];
    const attributes = { kernel_shape: [kernel, kernel], pads: [padding, padding, padding, padding] };
    const bias = this.weight(`${name}.bias`);
    if (!this.widens(x)) return this.node('Conv', [x, w, bias], x.type, shape, attributes);
    const wide = this.node('Conv', [this.cast(x, 'float'), this.cast(w, 'float')], 'float', shape, attributes);
    return this.add(this.cast(wide, x.type), this.reshape(bias, [w.shape[0]!, 1, 1]));
  }

  reshape(x: Value, target: Target, shape: Shape = target): Value {
    const sizes = target.map((size) => (typeof size === 'string' ? -1 : size));
    if (sizes.filter((size) => size === -1).length > 1) throw new Error(`reshape with two free axes: ${target}`);
    const known = shape.map((size, i) => (size === 0 ? x.shape[i]! : size));
    return this.node('Reshape', [x, this.constant('int64', sizes)], x.type, inferFree(x.shape, known));
  }

  transpose(x: Value, permutation: readonly number[]): Value {
    return this.node(
      'Transpose',
      [x],
      x.type,
      permutation.map((axis) => x.shape[axis]!),
      { perm: permutation },
    );
  }

  unsqueeze(x: Value, axis: number): Value {
    const shape = [...x.shape.slice(0, axis), 1, ...x.shape.slice(axis)];
    return this.node('Unsqueeze', [x, this.constant('int64', [axis])], x.type, shape);
  }

  concat(values: readonly Value[], axis: number): Value {
    if (values.length === 1) return values[0]!;
    const shape = [...values[0]!.shape];
    const sizes = values.map((v) => v.shape[axis]!);
    shape[axis] = sizes.every((s) => typeof s === 'number')
      ? (sizes as number[]).reduce((a, b) => a + b)
      : sizes.join('+');
    return this.node('Concat', values, values[0]!.type, shape, { axis });
  }

  /** Rows [start, end) along `axis`. */
  slice(x: Value, axis: number, start: number, end: number): Value {
    if (start === 0 && end === x.shape[axis]) return x;
    const shape = [...x.shape];
    shape[axis] = end - start;
    const int = (v: number) => this.constant('int64', [v]);
    return this.node('Slice', [x, int(start), int(end), int(axis)], x.type, shape);
  }

  split(x: Value, axis: number, sizes: readonly number[]): Value[] {
    if (sizes.length === 1) return [x];
    const outputs = sizes.map((size) => ({ type: x.type, shape: x.shape.map((d, i) => (i === axis ? size : d)) }));
    return this.nodeWithOutputs('Split', [x, this.constant('int64', sizes)], outputs, { axis });
  }

  /** Picks along `axis`; the shape of `indices` takes that axis's place. */
  gather(x: Value, indices: Value, axis: number): Value {
    const shape = [...x.shape.slice(0, axis), ...indices.shape, ...x.shape.slice(axis + 1)];
    return this.node('Gather', [x, indices], x.type, shape, { axis });
  }

  /** Zeros after the end of each axis up to `shape`. */
  padEnd(x: Value, shape: readonly Dim[]): Value {
    const pads = shape.map((size, i) => (size === x.shape[i] ? 0 : (size as number) - (x.shape[i] as number)));
    if (pads.every((p) => p === 0)) return x;
    return this.node('Pad', [x, this.constant('int64', [...pads.map(() => 0), ...pads])], x.type, shape);
  }

  /** Number of elements along `axis` as an int64 vector of one. */
  sizeOf(x: Value, axis: number): Value {
    return this.node('Shape', [x], 'int64', [1], { start: axis, end: axis + 1 });
  }

  expand(x: Value, sizes: Value, shape: Shape): Value {
    return this.node('Expand', [x, sizes], x.type, shape);
  }

  scalar(value: number, type: ElementType = this.computeType): Value {
    if (type === 'int32' || type === 'int64') return this.constant(type, [value], []);
    return this.cast(this.constant('float', [value], []), type);
  }
}

/** Shape of an element-wise result; a named axis wins over 1 and equals only itself. */
export function broadcast(a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  const axis = (s: Shape, i: number): Dim => s[i - rank + s.length] ?? 1;
  return Array.from({ length: rank }, (_, i) => {
    const x = axis(a, i);
    const y = axis(b, i);
    if (x === 1) return y;
    if (y !== 1 && x !== y) throw new Error(`shapes [${a}] and [${b}] do not fit`);
    return x;
  });
}

/** Replaces the one -1 of a target shape where all sizes are known. */
function inferFree(source: Shape, target: Shape): Shape {
  if (!target.includes(-1)) return target;
  const product = (dims: Shape) => dims.reduce<number>((a, b) => a * (typeof b === 'number' ? b : Number.NaN), 1);
  const free = product(source) / -product(target);
  return target.map((d) => (d === -1 ? (Number.isInteger(free) ? free : 'free') : d));
}
