import { requireUsable } from '../../src/backends/tensorrt/open-tensorrt.js';
import { pipelineLimits } from '../../src/backends/tensorrt/pipeline-limits.js';
import { StoredEngines } from '../../src/backends/tensorrt/stored-engines.js';
import { TensorRtBackend, type TensorRtOptions } from '../../src/backends/tensorrt.js';
import type { EngineHost } from '../../src/engines/engine-fit.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import { loadTensorRt, probeTensorRt } from '../../src/native/load-tensorrt.js';
import type {
  NativeDevice,
  NativePipeline,
  PipelineOptions,
  StageTensor,
  TensorRtAddon,
} from '../../src/native/tensorrt-addon.js';
import type { Size } from '../../src/preprocess/size-rule.js';
import { enginesFolder } from './models.js';

/** Whether the tests run on the simulated device, in a short form. */
export const isSimulated = process.env.RVOS_TENSORRT_FLAVOR === 'simulated';

export interface Gpu {
  readonly addon: TensorRtAddon;
  readonly device: NativeDevice;
  readonly host: EngineHost & { readonly device: NativeDevice };
  readonly libraryVersion: string;
}

/** The GPU that the tests run on. Throws `RvosError` where there is none. */
export async function openGpu(): Promise<Gpu> {
  const { probe, device } = requireUsable(await probeTensorRt());
  const { addon, flavor, libraryVersion } = await loadTensorRt(probe.flavor);
  return { addon, device, libraryVersion, host: { flavor, libraryVersion, device } };
}

export function enginesOf(gpu: Gpu, model: ModelFolder): StoredEngines {
  return new StoredEngines({ model, store: new EngineStore(enginesFolder), host: gpu.host });
}

export function openBackend(gpu: Gpu, model: ModelFolder, options: Partial<TensorRtOptions> = {}): TensorRtBackend {
  const { addon, device } = gpu;
  return new TensorRtBackend({ model, addon, device: device.index, engines: enginesOf(gpu, model), ...options });
}

/** A pipeline of one size, without the backend around it. */
export async function openPipeline(
  gpu: Gpu,
  model: ModelFolder,
  size: Size,
  changed: Partial<PipelineOptions> = {},
): Promise<NativePipeline> {
  const found = await enginesOf(gpu, model).size(size);
  const { mean, std } = model.preprocessing;
  const { short, long, transformer } = found;
  return gpu.addon.openPipeline({
    ...pipelineLimits(model, found),
    device: gpu.device.index,
    engines: { short: short.path, ...(long && { long: long.path }), transformer: transformer.path },
    mean,
    std,
    ...changed,
  });
}

/** Bytes of device memory that are free now. */
export function freeBytes({ addon, device }: Gpu): number {
  return addon.devices().find(({ index }) => index === device.index)!.freeBytes!;
}

export function floatsOf(tensors: Readonly<Record<string, StageTensor>>, name: string): Float32Array {
  const data = tensors[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`no float32 output ${name}`);
  return data;
}
