import { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { sessionOptions } from '../backends/session-options.js';
import { RvosError } from '../errors.js';
import type { ModelFolder } from '../model/model-folder.js';
import { levelSizes } from '../model/stages/stage-options.js';
import { elementCount, float32Tensor, type Tensor } from '../tensors/tensor.js';
import type { StageInputs } from './stage-inputs.js';

export type Outputs = Map<string, Tensor>;

/** `frames` F32 [B,T,3,h,w] (+ `frame_count` I32 [B]) → `level0..2` F32 [B,T,C,h_i,w_i]; frames beyond the count give zeros. */
export async function runBackbone(model: ModelFolder, inputs: StageInputs, threads: number): Promise<Outputs> {
  const { data, shape } = inputs.floats('frames', [null, null, 3, null, null]);
  const [batch, frames, , height, width] = shape as [number, number, number, number, number];
  const counts = inputs.int32('frame_count', batch, 1, frames, frames);
  const { embed_dim: embed } = model.architecture.swin;
  const outputs: Outputs = new Map(
    levelSizes(height, width).map(([h, w], i) => {
      const levelShape = [batch, frames, embed << i, h, w];
      return [`level${i}`, float32Tensor(levelShape, new Float32Array(elementCount(levelShape)))];
    }),
  );
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
    const results = await session.run({ frames: new OrtTensor('float32', clip, [1, count, 3, height, width]) });
    for (const [name, output] of outputs) {
      const target = output.data as Float32Array;
      target.set(results[name]!.data as Float32Array, (b * target.length) / batch);
    }
  }
  for (const session of sessions.values()) await session.release();
  return outputs;
}

/** `input_ids`, `attention_mask` I64 [P,S] → `text_features` F32 [P,S,D]. */
export async function runTextEncoder(model: ModelFolder, inputs: StageInputs, threads: number): Promise<Outputs> {
  const ids = inputs.int64('input_ids', [null, null]);
  const mask = inputs.int64('attention_mask', ids.shape);
  const { vocab_size: words, max_position_embeddings: positions, pad_token_id: pad } = model.architecture.roberta;
  const foreign = ids.data.find((id) => id < 0n || id >= BigInt(words));
  if (foreign !== undefined) {
    throw new RvosError('BAD_TENSOR_FILE', `input_ids has ${foreign}`, `The vocabulary ends at ${words - 1}.`);
  }
  const longest = positions - pad - 1;
  if (ids.shape[1]! > longest) {
    throw new RvosError(
      'BAD_TENSOR_FILE',
      `sentences of ${ids.shape[1]} tokens`,
      `The text encoder takes up to ${longest}.`,
    );
  }
  const session = await open(await model.graphPath('text-encoder'), threads);
  const feeds = {
    input_ids: new OrtTensor('int64', ids.data, [...ids.shape]),
    attention_mask: new OrtTensor('int64', mask.data, [...ids.shape]),
  };
  return run(session, feeds);
}

/**
 * `level0..2` F32 [B,T,C,h_i,w_i], `text_features` F32 [P,S,D], `attention_mask` I64 [P,S] (+ `frame_count` I32 [B],
 * `window_index` I32 [P]) → `referred_score`, `query_index`, `mask_kernels`, `all_mask_kernels`, `mask_features`.
 */
export async function runTransformer(model: ModelFolder, inputs: StageInputs, threads: number): Promise<Outputs> {
  const { swin, mttr } = model.architecture;
  const first = inputs.floats('level0', [null, null, swin.embed_dim, null, null]);
  const [batch, frames, , h0, w0] = first.shape as [number, number, number, number, number];
  // The levels' sizes follow from level 0's; whether the network's input was a pixel smaller makes no difference here.
  const clip = { frames, height: 4 * h0, width: 4 * w0 };
  const feeds: Record<string, OrtTensor> = {};
  levelSizes(clip.height, clip.width).forEach(([h, w], i) => {
    const level = inputs.floats(`level${i}`, [batch, frames, swin.embed_dim << i, h, w]);
    feeds[`level${i}`] = new OrtTensor('float32', level.data, [...level.shape]);
  });
  const text = inputs.floats('text_features', [null, null, mttr.d_model]);
  const [sentences, tokens] = text.shape as [number, number, number];
  feeds.text_features = new OrtTensor('float32', text.data, [...text.shape]);
  feeds.attention_mask = new OrtTensor('int64', inputs.int64('attention_mask', [sentences, tokens]).data, [
    sentences,
    tokens,
  ]);
  feeds.frame_count = new OrtTensor('int32', inputs.int32('frame_count', batch, 1, frames, frames), [batch]);
  feeds.window_index = new OrtTensor('int32', inputs.int32('window_index', sentences, 0, batch - 1, 0), [sentences]);
  const session = await open(await model.graphPath('transformer', clip), threads);
  return run(session, feeds);
}

function open(graph: string, threads: number): Promise<InferenceSession> {
  return InferenceSession.create(graph, sessionOptions(threads));
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
