import { requireUsable } from '../backends/tensorrt/open-tensorrt.js';
import { pipelineLimits } from '../backends/tensorrt/pipeline-limits.js';
import type { EngineHost } from '../engines/engine-fit.js';
import { buildCommand } from '../engines/engine-folder.js';
import { clipForms, type EngineLimits, sizeLabel } from '../engines/engine-plan.js';
import { EngineStore } from '../engines/engine-store.js';
import { RvosError } from '../errors.js';
import type { Precision } from '../model/architecture.js';
import type { ModelFolder } from '../model/model-folder.js';
import { levelSizes } from '../model/stages/stage-options.js';
import { loadTensorRt, probeTensorRt } from '../native/load-tensorrt.js';
import type { NativePipeline, StageTensor, TensorRtAddon } from '../native/tensorrt-addon.js';
import { toRvosError } from '../native/tensorrt-errors.js';
import type { Size } from '../preprocess/size-rule.js';
import { float32Tensor } from '../tensors/tensor.js';
import {
  type BackboneInputs,
  backboneInputs,
  emptyLevels,
  type Outputs,
  textInputs,
  transformerInputs,
} from './network-inputs.js';
import type { StageInputs } from './stage-inputs.js';

/** The addon, the GPU and the engines that stages run on. */
export interface StageEngines {
  readonly model: ModelFolder;
  readonly addon: Pick<TensorRtAddon, 'openPipeline' | 'openTextEncoder'>;
  readonly store: EngineStore;
  readonly host: EngineHost;
  /** Index of the GPU. */
  readonly device: number;
  /** What the engines compute in; default fp16. */
  readonly precision?: Precision;
}

/** Throws `RvosError` ADDON_MISSING, BACKEND_UNAVAILABLE with the reason why TensorRT does not run here. */
export async function openStageEngines(model: ModelFolder, store = new EngineStore()): Promise<StageEngines> {
  const { probe, device } = requireUsable(await probeTensorRt());
  const { addon, flavor, libraryVersion } = await loadTensorRt(probe.flavor);
  return { model, addon, store, host: { flavor, libraryVersion, device }, device: device.index };
}

/**
 * The same tensors as on ONNX Runtime: `frames` F32 [B,T,3,h,w] (+ `frame_count`) → `level0..2`, T frames, zeros beyond
 * the count. Throws `RvosError` LIMIT_EXCEEDED for more frames than the engines take, ENGINE_MISSING, BAD_ENGINE,
 * OUT_OF_MEMORY, BACKEND_FAILED.
 */
async function runBackbone(engines: StageEngines, inputs: StageInputs): Promise<Outputs> {
  const checked = backboneInputs(inputs);
  const { batch, counts, height, width } = checked;
  const { short, long } = clipForms(engines.model);
  const most = Math.max(short, long);
  const longest = Math.max(...counts);
  if (longest > most) throw tooMany('frames', longest, most, 'Use --backend onnxruntime.');
  const outputs = emptyLevels(engines.model, checked);
  await withPipeline(engines, { height, width }, async (pipeline, limits) => {
    // The engines for short and long clips give different results for the same clip: each window goes to its own.
    for (const members of [(count: number) => count <= short, (count: number) => count > short]) {
      const windows = Array.from({ length: batch }, (_, b) => b).filter((b) => members(counts[b]!));
      for (let first = 0; first < windows.length; first += limits.windows) {
        await runWindows(pipeline, checked, windows.slice(first, first + limits.windows), outputs);
      }
    }
  });
  return outputs;
}

/** One batch of windows through the engine; their frames land in `outputs`. */
async function runWindows(
  pipeline: NativePipeline,
  { data, frames, height, width, counts }: BackboneInputs,
  windows: readonly number[],
  outputs: Outputs,
): Promise<void> {
  const pixels = 3 * height * width;
  const count = Math.max(...windows.map((b) => counts[b]!));
  const clips = new Float32Array(windows.length * count * pixels);
  windows.forEach((b, i) => {
    clips.set(data.subarray(b * frames * pixels, (b * frames + counts[b]!) * pixels), i * count * pixels);
  });
  const results = await pipeline.runStage('backbone', {
    frames: { dtype: 'float32', shape: [windows.length, count, 3, height, width], data: clips },
    frame_count: int32(windows.map((b) => counts[b]!)),
  });
  for (const [name, output] of outputs) {
    const level = floats(results, name);
    const target = output.data as Float32Array;
    const frame = level.length / (windows.length * count);
    windows.forEach((b, i) => {
      const part = level.subarray(i * count * frame, (i * count + counts[b]!) * frame);
      target.set(part, b * frames * frame);
    });
  }
}

/** `input_ids`, `attention_mask` I64 [P,S] → `text_features` F32 [P,S,D]; same errors. */
async function runTextEncoder(engines: StageEngines, inputs: StageInputs): Promise<Outputs> {
  const { model, addon, store, host, device, precision = 'fp16' } = engines;
  const { ids, mask, sentences, tokens } = textInputs(model, inputs);
  const { path, limits } = await store.findTextEncoder(model, host, { precision });
  checkLimits(engines, null, limits, { tokens });
  const width = model.architecture.mttr.d_model;
  const target = new Float32Array(sentences * tokens * width);
  try {
    const encoder = await addon.openTextEncoder({ device, engine: path, ...limits, features: width });
    try {
      for (let first = 0; first < sentences; first += limits.sentences) {
        const count = Math.min(limits.sentences, sentences - first);
        const part = (values: BigInt64Array) => values.slice(first * tokens, (first + count) * tokens);
        const job = { inputIds: part(ids), attentionMask: part(mask), sentences: count, tokens };
        target.set(await encoder.encode(job), first * tokens * width);
      }
    } finally {
      await encoder.dispose();
    }
  } catch (error) {
    throw toRvosError(error, { what: path });
  }
  return new Map([['text_features', float32Tensor([sentences, tokens, width], target)]]);
}

/** Inputs and outputs as on ONNX Runtime; same errors. */
async function runTransformer(engines: StageEngines, inputs: StageInputs): Promise<Outputs> {
  const { model } = engines;
  const { batch, frames, sentences, tokens, levels, text, levelSize, ...rest } = transformerInputs(model, inputs);
  const { short, long } = clipForms(model);
  const most = Math.max(short, long);
  if (frames > most) throw tooMany('frames', frames, most, 'Use --backend onnxruntime.');
  const size = await sizeOfLevels(engines, levelSize);
  return withPipeline(engines, size, async (pipeline, limits) => {
    checkLimits(engines, size, limits, { windows: batch, sentences, tokens });
    const feeds: Record<string, StageTensor> = {
      text_features: { dtype: 'float32', ...text },
      attention_mask: { dtype: 'int64', shape: [sentences, tokens], data: rest.attentionMask },
      frame_count: int32(rest.frameCount),
      window_index: int32(rest.windowIndex),
    };
    for (const [i, level] of levels.entries()) feeds[`level${i}`] = { dtype: 'float32', ...level };
    const results = await pipeline.runStage('transformer', feeds);
    return new Map(Object.entries(results).map(([name, tensor]) => [name, outputTensor(name, tensor)]));
  });
}

/** An input of the network that there are engines for and whose level 0 is of this size. */
async function sizeOfLevels({ model, store }: StageEngines, [h0, w0]: readonly [number, number]): Promise<Size> {
  const sizes = await store.sizes(model);
  const fits = sizes.find(({ height, width }) => {
    const [first] = levelSizes(height, width);
    return first![0] === h0 && first![1] === w0;
  });
  return fits ?? { height: 4 * h0, width: 4 * w0 };
}

async function withPipeline<T>(
  { model, addon, store, host, device, precision = 'fp16' }: StageEngines,
  size: Size,
  work: (pipeline: NativePipeline, limits: EngineLimits) => Promise<T>,
): Promise<T> {
  const found = await store.findSize(model, size, host, { precision });
  const { short, long, transformer } = found;
  const { mean, std } = model.preprocessing;
  try {
    const pipeline = await addon.openPipeline({
      ...pipelineLimits(model, found, 1),
      device,
      engines: { short: short.path, ...(long && { long: long.path }), transformer: transformer.path },
      mean,
      std,
    });
    try {
      return await work(pipeline, found.limits);
    } finally {
      await pipeline.dispose();
    }
  } catch (error) {
    throw toRvosError(error, { what: `engines for ${sizeLabel(size)}` });
  }
}

function checkLimits(
  { model, store, host }: StageEngines,
  size: Size | null,
  limits: EngineLimits,
  wanted: Partial<EngineLimits>,
): void {
  for (const name of ['windows', 'sentences', 'tokens'] as const) {
    const value = wanted[name] ?? 0;
    if (value <= limits[name]) continue;
    const command = buildCommand({ model, size, flavor: host.flavor, limits: { [name]: value }, root: store.root });
    throw tooMany(name, value, limits[name], `Build engines for more: ${command}`);
  }
}

function tooMany(what: string, value: number, most: number, hint: string): RvosError {
  return new RvosError('LIMIT_EXCEEDED', `${value} ${what}, the engines take up to ${most}`, hint);
}

function int32(values: ArrayLike<number>): StageTensor {
  return { dtype: 'int32', shape: [values.length], data: Int32Array.from(values) };
}

function floats(results: Readonly<Record<string, StageTensor>>, name: string): Float32Array {
  const data = results[name]?.data;
  if (!(data instanceof Float32Array)) throw new Error(`the engine gave no float32 output ${name}`);
  return data;
}

function outputTensor(name: string, { shape, data }: StageTensor): ReturnType<typeof float32Tensor> {
  if (data instanceof Float32Array) return float32Tensor(shape, data);
  if (data instanceof Int32Array) return { dtype: 'I32', shape, data };
  throw new Error(`output ${name} is of an unexpected type`);
}

/** The stages of the network on TensorRT engines. */
export const tensorRtStages = {
  backbone: runBackbone,
  'text-encoder': runTextEncoder,
  transformer: runTransformer,
} as const;
