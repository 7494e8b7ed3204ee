import { RvosError } from '../../errors.js';
import { loadCore } from '../../native/load-core.js';
import type { NamedTensor, OpenVinoLibrary, OpenVinoModel } from '../../native/openvino-library.js';
import { elementCount, float32Tensor, type Tensor } from '../../tensors/tensor.js';
import { ModelCache } from './openvino-cache.js';
import type { NamedTensors, OpenOptions, Runtime, RuntimeSettings, Session } from './runtime.js';

const precisions = { fp32: 'f32', bf16: 'bf16' } as const;

/**
 * OpenVINO, through its C library. Runs leave the event loop and can be cancelled. Throws `RvosError` BACKEND_UNAVAILABLE
 * with the reason if the library cannot be used.
 */
export function openOpenVino(settings: RuntimeSettings): OpenVinoRuntime {
  const { library: file, threads, precision = 'fp32' } = settings;
  if (file === undefined) throw new Error('OpenVINO needs its library');
  let library: OpenVinoLibrary;
  try {
    library = loadCore().openVino(file, {
      INFERENCE_NUM_THREADS: String(threads),
      NUM_STREAMS: '1',
      PERFORMANCE_HINT: 'LATENCY',
      // Its default changes with the processor.
      INFERENCE_PRECISION_HINT: precisions[precision],
    });
  } catch (cause) {
    if (cause instanceof RvosError) throw cause;
    const why = cause instanceof Error ? cause.message : String(cause);
    const remedy = 'Name another library in RVOS_OPENVINO_LIBRARY, or use --backend onnxruntime.';
    throw new RvosError('BACKEND_UNAVAILABLE', `OpenVINO in ${file} cannot be used: ${why}`, remedy, { cause });
  }
  return new OpenVinoRuntime(library, settings);
}

class OpenVinoRuntime implements Runtime {
  readonly name = 'openvino';
  readonly sessionsPerProcess = Number.POSITIVE_INFINITY;
  readonly anyLength = true;
  readonly #cache: ModelCache;
  #running: OpenVinoModel | undefined;

  constructor(
    private readonly library: OpenVinoLibrary,
    private readonly settings: RuntimeSettings,
  ) {
    this.#cache = new ModelCache(library, settings);
  }

  get version(): string {
    return this.library.version;
  }

  async open(path: string, { shapes = {}, exact = false, keep = true }: OpenOptions = {}): Promise<Session> {
    const precision = exact ? 'fp32' : (this.settings.precision ?? 'fp32');
    const properties = { INFERENCE_PRECISION_HINT: precisions[precision] };
    const compile = () => this.library.compile({ graph: path, shapes, properties });
    const model = keep ? await this.#cache.open(path, { shapes, properties, compile }) : await compile();
    const took = model.property('INFERENCE_PRECISION_HINT');
    if (took !== precisions[precision] && took !== (precision === 'fp32' ? 'float32' : 'bfloat16')) {
      model.release();
      throw new Error(`OpenVINO was told to compute in ${precision} and took ${took}`);
    }
    return new OpenVinoSession(model, (running) => {
      this.#running = running;
    });
  }

  cancel(): boolean {
    this.#running?.cancel();
    return true;
  }
}

class OpenVinoSession implements Session {
  constructor(
    private readonly model: OpenVinoModel,
    private readonly setRunning: (model: OpenVinoModel | undefined) => void,
  ) {}

  outputMemory(): NamedTensors | undefined {
    const tensors: Record<string, Tensor> = {};
    for (const { name, dtype, shape } of this.model.outputs) {
      if (dtype !== 'F32' || shape.some((size) => size < 1)) return undefined;
      tensors[name] = float32Tensor(shape, new Float32Array(elementCount(shape)));
    }
    return tensors;
  }

  async run(inputs: NamedTensors, outputs: NamedTensors = {}): Promise<NamedTensors> {
    this.setRunning(this.model);
    try {
      const others = await this.model.infer(named(inputs), named(outputs));
      return { ...outputs, ...Object.fromEntries(others.map(({ name, ...tensor }) => [name, tensor])) };
    } finally {
      this.setRunning(undefined);
    }
  }

  async release(): Promise<void> {
    this.model.release();
  }
}

function named(tensors: NamedTensors): NamedTensor[] {
  return Object.entries(tensors).map(([name, tensor]) => ({ name, ...tensor }) as NamedTensor);
}
