import type { NamedTensors, Runtime, Session } from '../backends/cpu/runtime.js';
import type { ModelFolder } from '../model/model-folder.js';
import { float32Tensor } from '../tensors/tensor.js';
import { backboneInputs, emptyLevels, type Outputs, textInputs, transformerInputs } from './network-inputs.js';
import type { StageInputs } from './stage-inputs.js';

/** `frames` F32 [B,T,3,h,w] (+ `frame_count` I32 [B]) → `level0..2` F32 [B,T,C,h_i,w_i]; frames beyond the count give zeros. */
async function runBackbone(model: ModelFolder, inputs: StageInputs, runtime: Runtime): Promise<Outputs> {
  const checked = backboneInputs(inputs);
  const { data, batch, frames, height, width, counts } = checked;
  const outputs = emptyLevels(model, checked);
  const clipSize = frames * 3 * height * width;
  const sessions = new Map<number, Session>();
  for (let b = 0; b < batch; b++) {
    const count = counts[b]!;
    let session = sessions.get(count);
    if (!session) {
      session = await runtime.open(await model.graphPath('backbone', { frames: count, height, width }));
      sessions.set(count, session);
    }
    const clip = data.subarray(b * clipSize, b * clipSize + count * 3 * height * width);
    const results = await session.run({ frames: float32Tensor([1, count, 3, height, width], clip) });
    for (const [name, output] of outputs) {
      const target = output.data as Float32Array;
      target.set(results[name]!.data as Float32Array, (b * target.length) / batch);
    }
  }
  for (const session of sessions.values()) await session.release();
  return outputs;
}

/** `input_ids`, `attention_mask` I64 [P,S] → `text_features` F32 [P,S,D]. */
async function runTextEncoder(model: ModelFolder, inputs: StageInputs, runtime: Runtime): Promise<Outputs> {
  const { ids, mask, sentences, tokens } = textInputs(model, inputs);
  const shape = [sentences, tokens];
  return run(await runtime.open(await model.graphPath('text-encoder')), {
    input_ids: { dtype: 'I64', shape, data: ids },
    attention_mask: { dtype: 'I64', shape, data: mask },
  });
}

/**
 * `level0..2` F32 [B,T,C,h_i,w_i], `text_features` F32 [P,S,D], `attention_mask` I64 [P,S] (+ `frame_count` I32 [B],
 * `window_index` I32 [P]) → `referred_score`, `query_index`, `mask_kernels`, `all_mask_kernels`, `mask_features`.
 */
async function runTransformer(model: ModelFolder, inputs: StageInputs, runtime: Runtime): Promise<Outputs> {
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
