import type { Architecture } from '../../src/model/architecture.js';
import { expectedParameters } from '../../src/model/weight-layout.js';
import { type TensorSource, writeSafetensors } from '../../src/tensors/safetensors.js';
import { elementCount } from '../../src/tensors/tensor.js';
import { PickleWriter } from './pickle-writer.js';
import { ZipWriter } from './zip-writer.js';

/** The published network: Video Swin-T without its fourth stage, RoBERTa-base (model-spec §0); 146.5 M parameters. */
export const publishedArchitecture: Architecture = {
  swin: { embed_dim: 96, depths: [2, 2, 6], num_heads: [3, 6, 12], window_size: [8, 7, 7], patch_size: [1, 4, 4] },
  roberta: {
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    max_position_embeddings: 514,
    vocab_size: 50265,
    type_vocab_size: 1,
    layer_norm_eps: 1e-5,
    pad_token_id: 1,
    bos_token_id: 0,
    eos_token_id: 2,
    hidden_act: 'gelu',
  },
  mttr: {
    num_queries: 50,
    mask_kernels_dim: 8,
    d_model: 256,
    nheads: 8,
    num_encoder_layers: 3,
    num_decoder_layers: 3,
    dim_feedforward: 2048,
  },
};

/**
 * Values of one parameter: uniform, scaled by the fan-in, so that activations neither vanish nor grow; norms near one.
 * They depend on name, shape and seed alone.
 */
export function randomParameter(name: string, shape: readonly number[], seed = 1): Float32Array {
  const values = new Float32Array(elementCount(shape));
  let state = (seed * 2654435761) >>> 0;
  for (let i = 0; i < name.length; i++) state = Math.imul(state ^ name.charCodeAt(i), 16777619) >>> 0;
  const isNorm = shape.length === 1 && name.endsWith('weight');
  const isTable = /relative_position_bias_table|embeddings\.weight|obj_queries/.test(name);
  const deviation = isNorm
    ? 0.1
    : shape.length === 1
      ? 0.05
      : isTable
        ? 0.5
        : 1 / Math.sqrt(elementCount(shape.slice(1)));
  const scale = (deviation * Math.sqrt(12)) / 2 ** 32;
  const mean = isNorm ? 1 : 0;
  for (let i = 0; i < values.length; i++) {
    // xorshift32
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = mean + state * scale;
  }
  return values;
}

/** A checkpoint of random weights in safetensors, written one tensor at a time. */
export async function writeRandomSafetensors(path: string, architecture: Architecture, seed = 1): Promise<void> {
  const tensors = new Map<string, TensorSource>();
  for (const [name, shape] of expectedParameters(architecture)) {
    tensors.set(name, { dtype: 'F32', shape, data: () => randomParameter(name, shape, seed) });
  }
  await writeSafetensors(path, tensors);
}

/**
 * The same in the original's container: a wrapped state dict of CUDA tensors, with the buffers the original carries
 * (one `relative_position_index` storage shared by all blocks, `position_ids`).
 */
export async function writeRandomTorchCheckpoint(path: string, architecture: Architecture, seed = 1): Promise<void> {
  const parameters = [...expectedParameters(architecture)];
  const tokens = architecture.swin.window_size.reduce((a, b) => a * b);
  const positions = architecture.roberta.max_position_embeddings;
  const [indexKey, positionKey] = [`${parameters.length}`, `${parameters.length + 1}`];
  const pickle = new PickleWriter();
  const location = 'cuda:0';

  const items: [string, () => void][] = parameters.map(([name, shape], i) => [
    name,
    () => pickle.tensor({ storageType: 'FloatStorage', key: `${i}`, length: elementCount(shape), shape, location }),
  ]);
  architecture.swin.depths.forEach((depth, stage) => {
    for (let j = 0; j < depth; j++) {
      const shape = [tokens, tokens];
      items.push([
        `backbone.layers.${stage}.blocks.${j}.attn.relative_position_index`,
        () => pickle.tensor({ storageType: 'LongStorage', key: indexKey, length: tokens ** 2, shape, location }),
      ]);
    }
  });
  items.push([
    'transformer.text_encoder.embeddings.position_ids',
    () =>
      pickle.tensor({
        storageType: 'LongStorage',
        key: positionKey,
        length: positions,
        shape: [1, positions],
        location,
      }),
  ]);
  pickle.dict(
    [
      ['epoch', () => pickle.integer(29)],
      ['model_state_dict', () => pickle.dict(items)],
      ['optimizer_state_dict', () => pickle.dict([], true)],
    ],
    true,
  );

  const zip = await ZipWriter.create(path);
  await zip.add('archive/data.pkl', pickle.end());
  for (const [i, [name, shape]] of parameters.entries()) {
    await zip.add(`archive/data/${i}`, new Uint8Array(randomParameter(name, shape, seed).buffer));
  }
  await zip.add(`archive/data/${indexKey}`, new Uint8Array(8 * tokens ** 2));
  await zip.add(`archive/data/${positionKey}`, new Uint8Array(8 * positions));
  await zip.add('archive/version', Buffer.from('3\n'));
  await zip.close();
}
