import { textEncoderOptions } from '../backends/cpu/limits.js';
import type { NamedTensors, OpenOptions, Runtime, Session } from '../backends/cpu/runtime.js';
import { kernelsOf, runTransformer as runOneSentence } from '../backends/cpu/transformer-pass.js';
import type { ModelFolder } from '../model/model-folder.js';
import { elementCount, float32Tensor, type Tensor } from '../tensors/tensor.js';
import { backboneInputs, emptyLevels, type Outputs, textInputs, transformerInputs } from './network-inputs.js';
import type { StageInputs } from './stage-inputs.js';

/** `frames` F32 [B,T,3,h,w] (+ `frame_count` I32 [B]) → `level0..2` F32 [B,T,C,h_i,w_i]; frames beyond the count give zeros. */
async function runBackbone(model: ModelFolder, inputs: StageInputs, runtime: Runtime): Promise<Outputs> {
  const checked = backboneInputs(inputs);
  const { data, batch, frames, height, width, counts } = checked;
  const outputs = emptyLevels(model, checked);
  const frameSize = 3 * height * width;
  const sessions = new Map<number, Session>();
  const [step] = model.architecture.swin.window_size;
  for (let b = 0; b < batch; b++) {
    const count = counts[b]!;
    const graphFrames = runtime.anyLength ? step * Math.ceil(count / step) : count;
    let session = sessions.get(graphFrames);
    if (!session) {
      session = await runtime.open(
        await model.graphPath('backbone', { frames: graphFrames, height, width }, runtime.name),
      );
      sessions.set(graphFrames, session);
    }
    const clip = new Float32Array(graphFrames * frameSize);
    clip.set(data.subarray(b * frames * frameSize, (b * frames + count) * frameSize));
    const results = await session.run({
      frames: float32Tensor([1, graphFrames, 3, height, width], clip),
      ...(runtime.anyLength && { frame_count: { dtype: 'I32', shape: [1], data: Int32Array.of(count) } as const }),
    });
    for (const [name, output] of outputs) {
      const target = output.data as Float32Array;
      const found = results[name]!;
      const level = runtime.anyLength ? channelsFirst(found) : (found.data as Float32Array);
      const size = level.length / graphFrames;
      target.set(level.subarray(0, count * size), (b * target.length) / batch);
    }
  }
  for (const session of sessions.values()) await session.release();
  return outputs;
}

/** `input_ids`, `attention_mask` I64 [P,S] → `text_features` F32 [P,S,D]. */
async function runTextEncoder(model: ModelFolder, inputs: StageInputs, runtime: Runtime): Promise<Outputs> {
  const { ids, mask, sentences, tokens } = textInputs(model, inputs);
  const shape = [sentences, tokens];
  const path = await model.graphPath('text-encoder', undefined, runtime.name);
  return run(await runtime.open(path, textEncoderOptions), {
    input_ids: { dtype: 'I64', shape, data: ids },
    attention_mask: { dtype: 'I64', shape, data: mask },
  });
}

/**
 * `level0..2` F32 [B,T,C,h_i,w_i], `text_features` F32 [P,S,D], `attention_mask` I64 [P,S] (+ `frame_count` I32 [B],
 * `window_index` I32 [P]) → `referred_score`, `query_index`, `mask_kernels`, `all_mask_kernels`, `mask_features`.
 */
async function runTransformer(model: ModelFolder, inputs: StageInputs, runtime: Runtime): Promise<Outputs> {
  if (runtime.anyLength) return runTransformerBySentence(model, inputs, runtime);
  const { batch, frames, sentences, tokens, levels, text, levelSize, ...rest } = transformerInputs(model, inputs);
  const [h0, w0] = levelSize;
  const clip = { frames, height: 4 * h0, width: 4 * w0 };
  return run(await runtime.open(await model.graphPath('transformer', clip)), {
    ...Object.fromEntries(levels.map(({ data, shape }, i) => [`level${i}`, float32Tensor(shape, data)])),
    text_features: float32Tensor(text.shape, text.data),
    attention_mask: { dtype: 'I64', shape: [sentences, tokens], data: rest.attentionMask },
    frame_count: { dtype: 'I32', shape: [batch], data: rest.frameCount },
    window_index: { dtype: 'I32', shape: [sentences], data: rest.windowIndex },
  });
}

/**
 * The same, as a runtime does that takes one sentence and a few frames at a time. Scores are the mean over the window's
 * `frame_count` frames; frames beyond give kernels and features like the others, as on ONNX Runtime.
 */
async function runTransformerBySentence(model: ModelFolder, inputs: StageInputs, runtime: Runtime): Promise<Outputs> {
  const { frames, sentences, tokens, levels, text, levelSize, ...rest } = transformerInputs(model, inputs);
  const [h0, w0] = levelSize;
  const [step] = model.architecture.swin.window_size;
  const path = await model.graphPath('transformer', { height: 4 * h0, width: 4 * w0 }, runtime.name);
  const sessions = new Map<string, Session>();
  const open = async (graph: string, options: OpenOptions) => {
    const session = sessions.get(graph) ?? (await runtime.open(graph, options));
    sessions.set(graph, session);
    return session;
  };
  const outputs: Outputs = new Map();
  for (let p = 0; p < sentences; p++) {
    const window = rest.windowIndex[p]!;
    const room = step * Math.ceil(frames / step);
    const width = text.data.length / (sentences * tokens);
    const found = await runOneSentence(
      runtime,
      open,
      { path, frames: step },
      {
        levels: channelsLast(levels, window, frames, room),
        frames,
        counted: rest.frameCount[window]!,
        text: {
          features: text.data.slice(p * tokens * width, (p + 1) * tokens * width),
          mask: rest.attentionMask.slice(p * tokens, (p + 1) * tokens),
        },
      },
    );
    const { scores, bestQuery, allKernels, features, kernelSize, featureHeight, featureWidth } = found;
    put(outputs, 'referred_score', p, sentences, [scores.length], scores);
    put(outputs, 'query_index', p, sentences, [], Int32Array.of(bestQuery));
    put(outputs, 'mask_kernels', p, sentences, [frames, kernelSize], kernelsOf(found, bestQuery));
    put(outputs, 'all_mask_kernels', p, sentences, [frames, scores.length, kernelSize], allKernels);
    put(outputs, 'mask_features', p, sentences, [frames, kernelSize, featureHeight, featureWidth], features);
  }
  for (const session of sessions.values()) await session.release();
  return outputs;
}

/** Writes element p of an output whose first size is `count`. */
function put(
  outputs: Outputs,
  name: string,
  p: number,
  count: number,
  rest: readonly number[],
  data: Float32Array | Int32Array,
): void {
  const known = outputs.get(name);
  const shape = [count, ...rest];
  const fresh = (): Tensor =>
    data instanceof Float32Array
      ? float32Tensor(shape, new Float32Array(elementCount(shape)))
      : { dtype: 'I32', shape, data: new Int32Array(elementCount(shape)) };
  const output = known ?? fresh();
  (output.data as Float32Array).set(data, p * data.length);
  outputs.set(name, output);
}

/** [1,T,h·w,C] → values of [T,C,h·w]. */
function channelsFirst({ shape, data }: Tensor): Float32Array {
  const [, frames, pixels, channels] = shape as readonly [number, number, number, number];
  return turned(data as Float32Array, frames, pixels, channels);
}

/** Window b of levels [B,T,C,h,w] → [1,room,h·w,C], frames beyond T zero. */
function channelsLast(
  levels: readonly { readonly data: Float32Array; readonly shape: readonly number[] }[],
  b: number,
  frames: number,
  room: number,
): NamedTensors {
  return Object.fromEntries(
    levels.map(({ data, shape }, i) => {
      const [, , channels, h, w] = shape as readonly [number, number, number, number, number];
      const size = frames * channels * h * w;
      const target = new Float32Array(room * channels * h * w);
      target.set(turned(data.subarray(b * size, (b + 1) * size), frames, channels, h * w));
      return [`level${i}`, float32Tensor([1, room, h * w, channels], target)];
    }),
  );
}

/** [n, rows, columns] → [n, columns, rows] */
function turned(data: Float32Array, n: number, rows: number, columns: number): Float32Array {
  const result = new Float32Array(data.length);
  for (let i = 0, to = 0; i < n; i++) {
    for (let c = 0; c < columns; c++) {
      for (let r = 0; r < rows; r++) result[to++] = data[(i * rows + r) * columns + c]!;
    }
  }
  return result;
}

async function run(session: Session, inputs: NamedTensors): Promise<Outputs> {
  const outputs = await session.run(inputs);
  await session.release();
  return new Map(Object.entries(outputs));
}

/** The stages of the network on a CPU. */
export const cpuStages = {
  backbone: runBackbone,
  'text-encoder': runTextEncoder,
  transformer: runTransformer,
} as const;
