import { RvosError } from '../errors.js';
import type { ModelFolder } from '../model/model-folder.js';
import { levelSizes } from '../model/stages/stage-options.js';
import { elementCount, float32Tensor, type Tensor } from '../tensors/tensor.js';
import type { StageInputs } from './stage-inputs.js';

export type Outputs = Map<string, Tensor>;

/** `frames` F32 [B,T,3,h,w] and `frame_count` I32 [B], T where it is left out. */
export interface BackboneInputs {
  readonly data: Float32Array;
  readonly batch: number;
  readonly frames: number;
  readonly height: number;
  readonly width: number;
  readonly counts: Int32Array;
}

export function backboneInputs(inputs: StageInputs): BackboneInputs {
  const { data, shape } = inputs.floats('frames', [null, null, 3, null, null]);
  const [batch, frames, , height, width] = shape as [number, number, number, number, number];
  return { data, batch, frames, height, width, counts: inputs.int32('frame_count', batch, 1, frames, frames) };
}

/** `level0..2` F32 [B,T,C,h_i,w_i], all zero: frames beyond a window's count stay so. */
export function emptyLevels(model: ModelFolder, { batch, frames, height, width }: BackboneInputs): Outputs {
  const { embed_dim: embed } = model.architecture.swin;
  return new Map(
    levelSizes(height, width).map(([h, w], i) => {
      const shape = [batch, frames, embed << i, h, w];
      return [`level${i}`, float32Tensor(shape, new Float32Array(elementCount(shape)))];
    }),
  );
}

/** `input_ids`, `attention_mask` I64 [P,S]. */
export interface TextInputs {
  readonly ids: BigInt64Array;
  readonly mask: BigInt64Array;
  readonly sentences: number;
  readonly tokens: number;
}

export function textInputs(model: ModelFolder, inputs: StageInputs): TextInputs {
  const ids = inputs.int64('input_ids', [null, null]);
  const mask = inputs.int64('attention_mask', ids.shape);
  const { vocab_size: words, max_position_embeddings: positions, pad_token_id: pad } = model.architecture.roberta;
  const foreign = ids.data.find((id) => id < 0n || id >= BigInt(words));
  if (foreign !== undefined) {
    throw new RvosError('BAD_TENSOR_FILE', `input_ids has ${foreign}`, `The vocabulary ends at ${words - 1}.`);
  }
  const [sentences, tokens] = ids.shape as [number, number];
  const longest = positions - pad - 1;
  if (tokens > longest) {
    const what = `sentences of ${tokens} tokens`;
    throw new RvosError('BAD_TENSOR_FILE', what, `The text encoder takes up to ${longest}.`);
  }
  return { ids: ids.data, mask: mask.data, sentences, tokens };
}

interface Floats {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** `level0..2`, `text_features` F32 [P,S,D], `attention_mask`, and the optional `frame_count` and `window_index`. */
export interface TransformerInputs {
  readonly batch: number;
  readonly frames: number;
  readonly sentences: number;
  readonly tokens: number;
  /** [B,T,C,h_i,w_i] */
  readonly levels: readonly Floats[];
  readonly text: Floats;
  readonly attentionMask: BigInt64Array;
  readonly frameCount: Int32Array;
  readonly windowIndex: Int32Array;
  /** Height and width of level 0. */
  readonly levelSize: readonly [number, number];
}

export function transformerInputs(model: ModelFolder, inputs: StageInputs): TransformerInputs {
  const { swin, mttr } = model.architecture;
  const first = inputs.floats('level0', [null, null, swin.embed_dim, null, null]);
  const [batch, frames, , h0, w0] = first.shape as [number, number, number, number, number];
  // The other levels' sizes follow from level 0's; whether the network's input was a pixel smaller makes no difference.
  const levels = levelSizes(4 * h0, 4 * w0).map(([h, w], i) =>
    inputs.floats(`level${i}`, [batch, frames, swin.embed_dim << i, h, w]),
  );
  const text = inputs.floats('text_features', [null, null, mttr.d_model]);
  const [sentences, tokens] = text.shape as [number, number, number];
  return {
    ...{ batch, frames, sentences, tokens, levels, text, levelSize: [h0, w0] },
    attentionMask: inputs.int64('attention_mask', [sentences, tokens]).data,
    frameCount: inputs.int32('frame_count', batch, 1, frames, frames),
    windowIndex: inputs.int32('window_index', sentences, 0, batch - 1, 0),
  };
}
