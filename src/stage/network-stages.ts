import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { loadOnnxRuntime } from '../backends/load-onnxruntime.js';
import { sessionOptions } from '../backends/session-options.js';
import type { ModelFolder } from '../model/model-folder.js';
import { float32Tensor } from '../tensors/tensor.js';
import { backboneInputs, emptyLevels, type Outputs, textInputs, transformerInputs } from './network-inputs.js';
import type { StageInputs } from './stage-inputs.js';

/** `frames` F32 [B,T,3,h,w] (+ `frame_count` I32 [B]) → `level0..2` F32 [B,T,C,h_i,w_i]; frames beyond the count give zeros. */
async function runBackbone(model: ModelFolder, inputs: StageInputs, threads: number): Promise<Outputs> {
  const checked = backboneInputs(inputs);
  const { data, batch, frames, height, width, counts } = checked;
  const outputs = emptyLevels(model, checked);
  const clipSize = frames * 3 * height * width;
  const sessions = new Map<number, InferenceSession>();
  for (let b = 0; b < batch; b++) {
    const count = counts[b]!;
    let session = sessions.get(count);
    if (!session) {
      session = await open(await model.graphPath('backbone', { frames: count, height, width }), threads);
      sessions.set(count, session);
    }
    const clip = data.subarray(b * clipSize, b * clipSize + count * 3 * height * width);
    const results = await session.run({ frames: ortTensor('float32', clip, [1, count, 3, height, width]) });
    for (const [name, output] of outputs) {
      const target = output.data as Float32Array;
      target.set(results[name]!.data as Float32Array, (b * target.length) / batch);
    }
  }
  for (const session of sessions.values()) await session.release();
  return outputs;
}

/** `input_ids`, `attention_mask` I64 [P,S] → `text_features` F32 [P,S,D]. */
async function runTextEncoder(model: ModelFolder, inputs: StageInputs, threads: number): Promise<Outputs> {
  const { ids, mask, sentences, tokens } = textInputs(model, inputs);
  const session = await open(await model.graphPath('text-encoder'), threads);
  const feeds = {
    input_ids: ortTensor('int64', ids, [sentences, tokens]),
    attention_mask: ortTensor('int64', mask, [sentences, tokens]),
  };
  return run(session, feeds);
}

/**
 * `level0..2` F32 [B,T,C,h_i,w_i], `text_features` F32 [P,S,D], `attention_mask` I64 [P,S] (+ `frame_count` I32 [B],
 * `window_index` I32 [P]) → `referred_score`, `query_index`, `mask_kernels`, `all_mask_kernels`, `mask_features`.
 */
async function runTransformer(model: ModelFolder, inputs: StageInputs, threads: number): Promise<Outputs> {
  const { batch, frames, sentences, tokens, levels, text, levelSize, ...rest } = transformerInputs(model, inputs);
  const feeds: Record<string, OrtTensor> = {
    text_features: ortTensor('float32', text.data, [...text.shape]),
    attention_mask: ortTensor('int64', rest.attentionMask, [sentences, tokens]),
    frame_count: ortTensor('int32', rest.frameCount, [batch]),
    window_index: ortTensor('int32', rest.windowIndex, [sentences]),
  };
  for (const [i, { data, shape }] of levels.entries()) feeds[`level${i}`] = ortTensor('float32', data, [...shape]);
  const [h0, w0] = levelSize;
  const clip = { frames, height: 4 * h0, width: 4 * w0 };
  return run(await open(await model.graphPath('transformer', clip), threads), feeds);
}

function open(graph: string, threads: number): Promise<InferenceSession> {
  return loadOnnxRuntime().InferenceSession.create(graph, sessionOptions(threads));
}

async function run(session: InferenceSession, feeds: Record<string, OrtTensor>): Promise<Outputs> {
  const results = await session.run(feeds);
  await session.release();
  return new Map(
    Object.entries(results).map(([name, value]) => {
      const { data, dims } = value as OrtTensor;
      if (data instanceof Float32Array) return [name, float32Tensor(dims, data)];
      if (data instanceof Int32Array) return [name, { dtype: 'I32' as const, shape: dims, data }];
      throw new Error(`output ${name} is of an unexpected type`);
    }),
  );
}

/** The stages of the network on ONNX Runtime, in FP32. */
export const onnxRuntimeStages = {
  backbone: runBackbone,
  'text-encoder': runTextEncoder,
  transformer: runTransformer,
} as const;

function ortTensor(type: OrtTensor.Type, data: OrtTensor.DataType, shape: readonly number[]): OrtTensor {
  return new (loadOnnxRuntime().Tensor)(type, data, shape);
}
