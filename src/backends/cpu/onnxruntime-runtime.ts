import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { elementCount, float32Tensor, type Tensor } from '../../tensors/tensor.js';
import { loadOnnxRuntime, type OnnxRuntime as OnnxRuntimeModule } from './load-onnxruntime.js';
import { sessionOptions } from './onnxruntime-options.js';
import type { NamedTensors, Runtime, RuntimeSettings, Session } from './runtime.js';

const types = { F32: 'float32', I32: 'int32', I64: 'int64' } as const;

/** ONNX Runtime, in FP32. Its calls block the event loop and cannot be interrupted. */
export class OnnxRuntime implements Runtime {
  readonly name = 'onnxruntime';
  readonly sessionsPerProcess = 64;
  readonly anyLength = false;
  readonly #module: OnnxRuntimeModule;

  constructor(private readonly settings: Pick<RuntimeSettings, 'threads'>) {
    this.#module = loadOnnxRuntime();
  }

  get version(): string {
    return this.#module.env.versions.node ?? 'unknown';
  }

  async open(path: string): Promise<Session> {
    const session = await this.#module.InferenceSession.create(path, sessionOptions(this.settings.threads));
    return new OnnxRuntimeSession(this.#module, session);
  }

  cancel(): boolean {
    return false;
  }
}

class OnnxRuntimeSession implements Session {
  constructor(
    private readonly module: OnnxRuntimeModule,
    private readonly session: InferenceSession,
  ) {}

  outputMemory(): NamedTensors | undefined {
    const tensors: Record<string, Tensor> = {};
    for (const output of this.session.outputMetadata) {
      if (!output.isTensor || output.type !== 'float32') return undefined;
      if (output.shape.some((size) => typeof size !== 'number' || size < 1)) return undefined;
      const shape = output.shape.map(Number);
      tensors[output.name] = float32Tensor(shape, new Float32Array(elementCount(shape)));
    }
    return tensors;
  }

  async run(inputs: NamedTensors, outputs?: NamedTensors): Promise<NamedTensors> {
    const feeds = mapValues(inputs, (tensor) => this.#ortTensor(tensor));
    if (!outputs) return mapValues(await this.session.run(feeds), (value) => plainTensor(value as OrtTensor));
    await this.session.run(
      feeds,
      mapValues(outputs, (tensor) => this.#ortTensor(tensor)),
    );
    return outputs;
  }

  async release(): Promise<void> {
    await this.session.release();
  }

  #ortTensor({ dtype, shape, data }: Tensor): OrtTensor {
    const type = types[dtype as keyof typeof types];
    return new this.module.Tensor(type, data as Float32Array, [...shape]);
  }
}

function plainTensor({ data, dims }: OrtTensor): Tensor {
  if (data instanceof Float32Array) return { dtype: 'F32', shape: dims, data };
  if (data instanceof Int32Array) return { dtype: 'I32', shape: dims, data };
  throw new Error('the graph gave an output of an unexpected type');
}

function mapValues<T, R>(record: Readonly<Record<string, T>>, map: (value: T) => R): Record<string, R> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
