import { create, toBinary } from '@bufbuild/protobuf';
import type { Precision } from '../architecture.js';
import type { WeightLocation } from '../weight-layout.js';
import {
  type AttributeProto,
  AttributeProtoSchema,
  AttributeProto_AttributeType as AttributeType,
  TensorProto_DataLocation as DataLocation,
  TensorProto_DataType as DataType,
  type GraphProto,
  GraphProtoSchema,
  ModelProtoSchema,
  NodeProtoSchema,
  type TensorProto,
  TensorProtoSchema,
  type ValueInfoProto,
  ValueInfoProtoSchema,
} from './onnx_pb.js';

export type ElementType = 'float' | 'float16' | 'int32' | 'int64' | 'bool';
/** A fixed size, or the name of one that is known at run time only. */
export type Dim = number | string;
export type Shape = readonly Dim[];

/** An edge of the graph. */
export interface Value {
  readonly name: string;
  readonly type: ElementType;
  readonly shape: Shape;
}

export type AttributeValue =
  | number
  | readonly number[]
  | string
  | { readonly float: number }
  | { readonly graph: GraphProto };

const dataTypes: Record<ElementType, DataType> = {
  float: DataType.FLOAT,
  float16: DataType.FLOAT16,
  int32: DataType.INT32,
  int64: DataType.INT64,
  bool: DataType.BOOL,
};

/**
 * What products of FP16 values are summed in; default FP16, which leaves it to the runtime. FP32 is written as casts around
 * a product in FP32. `roundEvery`: as matrix units that sum in FP16 do, rounded after so many products; for measuring what
 * that costs, on any runtime.
 */
export type Sums = Precision | { readonly roundEvery: number };

export interface GraphOptions {
  readonly name: string;
  readonly opset: number;
  /** How `weights.bin` stores floats. */
  readonly stored: Precision;
  /** What matrix products compute in; norms and softmax stay in FP32. */
  readonly compute: Precision;
  readonly sums?: Sums | undefined;
  readonly weights: ReadonlyMap<string, WeightLocation>;
}

/** What a graph and the bodies of its loops share: names, weights and constants live in the outermost scope. */
interface Scope {
  readonly options: GraphOptions;
  readonly initializers: TensorProto[];
  readonly constants: Map<string, Value>;
  readonly weightNodes: ReturnType<typeof newNode>[];
  count: number;
}

function newNode(op: string, inputs: readonly string[], outputs: readonly string[], attributes: AttributeProto[]) {
  return create(NodeProtoSchema, {
    opType: op,
    name: `${op}_${outputs[0]}`,
    input: [...inputs],
    output: [...outputs],
    attribute: attributes,
  });
}

/**
 * Writes an ONNX graph node by node, in order of the calls: the same calls give the same bytes. Weights are external
 * data in `weights.bin`; small constants are stored once. Shapes are carried along so that a layer can be written
 * from its input alone.
 */
export class GraphBuilder {
  private readonly nodes: ReturnType<typeof newNode>[] = [];
  private readonly inputs: ValueInfoProto[] = [];
  private readonly outputs: ValueInfoProto[] = [];
  private readonly scope: Scope;

  constructor(from: GraphOptions | GraphBuilder) {
    this.scope =
      from instanceof GraphBuilder
        ? from.scope
        : { options: from, initializers: [], constants: new Map(), weightNodes: [], count: 0 };
  }

  /** Element type of activations. */
  get computeType(): 'float' | 'float16' {
    return this.scope.options.compute === 'fp16' ? 'float16' : 'float';
  }

  protected get sums(): Sums {
    return this.scope.options.sums ?? 'fp16';
  }

  input(name: string, type: ElementType, shape: Shape): Value {
    this.inputs.push(valueInfo(name, type, shape));
    return { name, type, shape };
  }

  /** Names `value` as an output; the node in between is removed by every runtime. */
  output(name: string, value: Value): void {
    this.nodes.push(newNode('Identity', [value.name], [name], []));
    this.outputs.push(valueInfo(name, value.type, value.shape));
  }

  /** Adds a node with one output. */
  node(
    op: string,
    inputs: readonly (Value | undefined)[],
    type: ElementType,
    shape: Shape,
    attributes: Record<string, AttributeValue> = {},
  ): Value {
    return this.nodeWithOutputs(op, inputs, [{ type, shape }], attributes)[0]!;
  }

  nodeWithOutputs(
    op: string,
    inputs: readonly (Value | undefined)[],
    outputs: readonly { type: ElementType; shape: Shape }[],
    attributes: Record<string, AttributeValue> = {},
  ): Value[] {
    const values = outputs.map((output) => ({ ...output, name: this.freshName() }));
    const protos = Object.entries(attributes).map(([name, value]) => attribute(name, value));
    const names = inputs.map((input) => input?.name ?? '');
    this.nodes.push(
      newNode(
        op,
        names,
        values.map((v) => v.name),
        protos,
      ),
    );
    return values;
  }

  /** A tensor of `weights.bin` in the type of activations (or in `type`); the cast is folded when a session is made. */
  weight(name: string, type: ElementType = this.computeType): Value {
    const stored = this.storedWeight(name);
    if (stored.type === type) return stored;
    return this.shared(`weight ${name} ${type}`, () => {
      const value: Value = { name: this.freshName(), type, shape: stored.shape };
      this.scope.weightNodes.push(newNode('Cast', [stored.name], [value.name], [attribute('to', dataTypes[type])]));
      return value;
    });
  }

  /** A tensor of `weights.bin` as it is stored: for tables that are gathered from, of which few rows are used. */
  storedWeight(name: string): Value {
    const location = this.scope.options.weights.get(name);
    if (!location) throw new Error(`no weight ${name} in the layout`);
    const type = this.scope.options.stored === 'fp16' ? 'float16' : 'float';
    return this.shared(`stored ${name}`, () => {
      const external = { location: 'weights.bin', offset: String(location.offset), length: String(location.length) };
      this.scope.initializers.push(
        create(TensorProtoSchema, {
          name,
          dims: location.shape.map(BigInt),
          dataType: dataTypes[type],
          externalData: Object.entries(external).map(([key, value]) => ({ key, value })),
          dataLocation: DataLocation.EXTERNAL,
        }),
      );
      return { name, type, shape: location.shape };
    });
  }

  constant(
    type: 'float' | 'int32' | 'int64',
    values: readonly number[],
    shape: readonly number[] = [values.length],
  ): Value {
    const data =
      type === 'float'
        ? new Float32Array(values)
        : type === 'int32'
          ? new Int32Array(values)
          : new BigInt64Array(values.map(BigInt));
    const raw = new Uint8Array(data.buffer);
    return this.shared(`constant ${type} ${shape.join('x')} ${Buffer.from(raw).toString('base64')}`, () => {
      const name = this.freshName('c');
      const dims = shape.map(BigInt);
      this.scope.initializers.push(create(TensorProtoSchema, { name, dims, dataType: dataTypes[type], rawData: raw }));
      return { name, type, shape };
    });
  }

  /** A value made once whatever scope asks for it. */
  private shared(key: string, make: () => Value): Value {
    const found = this.scope.constants.get(key);
    if (found) return found;
    const value = make();
    this.scope.constants.set(key, value);
    return value;
  }

  cast(x: Value, type: ElementType): Value {
    return x.type === type ? x : this.node('Cast', [x], type, x.shape, { to: dataTypes[type] });
  }

  /** The body of a loop: what was added to a builder made from this one. */
  body(): GraphProto {
    return create(GraphProtoSchema, {
      name: this.freshName('body'),
      node: this.nodes,
      input: this.inputs,
      output: this.outputs,
    });
  }

  /** The serialised ModelProto. */
  build(): Uint8Array {
    const { options, initializers, weightNodes } = this.scope;
    const model = create(ModelProtoSchema, {
      irVersion: 10n,
      producerName: 'rvos',
      opsetImport: [{ domain: '', version: BigInt(options.opset) }],
      graph: {
        name: options.name,
        node: [...weightNodes, ...this.nodes],
        initializer: initializers,
        input: this.inputs,
        output: this.outputs,
      },
    });
    return toBinary(ModelProtoSchema, model);
  }

  private freshName(prefix = 'v'): string {
    return `${prefix}${this.scope.count++}`;
  }
}

function attribute(name: string, value: AttributeValue): AttributeProto {
  const proto = create(AttributeProtoSchema, { name });
  if (typeof value === 'number') {
    proto.type = AttributeType.INT;
    proto.i = BigInt(value);
  } else if (typeof value === 'string') {
    proto.type = AttributeType.STRING;
    proto.s = new TextEncoder().encode(value);
  } else if ('float' in value) {
    proto.type = AttributeType.FLOAT;
    proto.f = value.float;
  } else if ('graph' in value) {
    proto.type = AttributeType.GRAPH;
    proto.g = value.graph;
  } else {
    proto.type = AttributeType.INTS;
    proto.ints = value.map(BigInt);
  }
  return proto;
}

function valueInfo(name: string, type: ElementType, shape: Shape): ValueInfoProto {
  const dim = shape.map((d) =>
    typeof d === 'number'
      ? { value: { case: 'dimValue' as const, value: BigInt(d) } }
      : { value: { case: 'dimParam' as const, value: d } },
  );
  return create(ValueInfoProtoSchema, {
    name,
    type: { value: { case: 'tensorType', value: { elemType: dataTypes[type], shape: { dim } } } },
  });
}
