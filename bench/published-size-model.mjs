// A model folder of the published network's size with random weights, for measuring: speed does not depend on values.
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importModel } from '../dist/index.js';
import { architectureSchema } from '../dist/model/architecture.js';
import { expectedParameters } from '../dist/model/weight-layout.js';
import { writeSafetensors } from '../dist/tensors/safetensors.js';

const tokenizer = fileURLToPath(new URL('../test/goldens/tokenizer', import.meta.url));

export const publishedConfig = {
  swin: { embed_dim: 96, depths: [2, 2, 6, 2], num_heads: [3, 6, 12, 24] },
  roberta: {
    hidden_size: 768,
    num_hidden_layers: 12,
    num_attention_heads: 12,
    intermediate_size: 3072,
    vocab_size: 50265,
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

/** Imports a random checkpoint into `out`. `adjust` changes the values of tensors by name: (value, index) → value. */
export async function makePublishedSizeModel(out, { adjust = {} } = {}) {
  const scratch = await mkdtemp(join(tmpdir(), 'rvos-bench-'));
  try {
    let state = 1;
    const random = () => {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      return (state / 2 ** 32 - 0.5) * Math.sqrt(12);
    };
    const tensors = new Map();
    for (const [name, shape] of expectedParameters(architectureSchema.parse(publishedConfig))) {
      const length = shape.reduce((a, b) => a * b, 1);
      const fanIn = length / shape[0];
      const norm = shape.length === 1 && name.endsWith('weight');
      // Object queries differ enough for attention to tell them apart.
      const scale = shape.length === 1 ? 0.05 : name === 'obj_queries.weight' ? 8 : 1 / Math.sqrt(fanIn);
      const change = adjust[name] ?? ((value) => value);
      const data = () => Float32Array.from({ length }, (_, i) => change((norm ? 1 : 0) + scale * random(), i));
      tensors.set(name, { dtype: 'F32', shape, data });
    }
    const source = join(scratch, 'random.safetensors');
    const architecture = join(scratch, 'config.json');
    await writeSafetensors(source, tensors);
    await writeFile(architecture, JSON.stringify(publishedConfig));
    await importModel({ source, architecture, tokenizer, out });
  } finally {
    await rm(scratch, { recursive: true });
  }
}
