import { readFile } from 'node:fs/promises';
import { describe, expect, it } from 'vitest';
import type { Architecture } from '../../src/model/architecture.js';
import type { ArchitectureHints } from '../../src/model/architecture-hints.js';
import { inferArchitecture } from '../../src/model/infer-architecture.js';
import { expectedParameters } from '../../src/model/weight-layout.js';
import type { Dtype, TensorInfo } from '../../src/tensors/tensor.js';
import { publishedArchitecture } from '../support/random-checkpoint.js';

const config = JSON.parse(await readFile(new URL('../goldens/config.json', import.meta.url), 'utf8'));
const small: Architecture = {
  swin: { ...config.swin, depths: config.swin.depths.slice(0, 3), num_heads: config.swin.num_heads.slice(0, 3) },
  roberta: config.roberta,
  mttr: config.mttr,
};
const hints: ArchitectureHints = { ...config, source: 'config.json' };

function tensorsOf(architecture: Architecture): Map<string, TensorInfo> {
  return new Map([...expectedParameters(architecture)].map(([name, shape]) => [name, { dtype: 'F32', shape }]));
}

function failure(tensors: ReadonlyMap<string, TensorInfo>, given: readonly ArchitectureHints[] = [hints]): unknown {
  try {
    return inferArchitecture('x.pth.tar', tensors, given);
  } catch (error) {
    return error;
  }
}

describe('inferArchitecture', () => {
  it('finds the published network from the published keys and shapes alone', async () => {
    const table = await readFile(new URL('../goldens/state_dict_keys_full.tsv', import.meta.url), 'utf8');
    const rows = table
      .trim()
      .split('\n')
      .slice(1)
      .map((row) => row.split('\t'));
    const dtypes: Record<string, Dtype> = { float32: 'F32', int64: 'I64' };
    const tensors = new Map(
      rows.map(([name, shape, dtype]) => [name!, { dtype: dtypes[dtype!]!, shape: JSON.parse(shape!) }]),
    );
    expect(tensors.size).toBeGreaterThan(470);
    expect(inferArchitecture('x.pth.tar', tensors)).toEqual({ architecture: publishedArchitecture, warnings: [] });
  });

  it('takes what shapes do not tell from a configuration, its fourth stage dropped', () => {
    expect(inferArchitecture('x', tensorsOf(small), [hints])).toEqual({ architecture: small, warnings: [] });
  });

  it('says which heads it had to assume', () => {
    const { architecture, warnings } = inferArchitecture('x', tensorsOf(small));
    expect(architecture.mttr.nheads).toBe(8);
    expect(architecture.roberta.num_attention_heads).toBe(1);
    expect(warnings).toEqual([expect.stringContaining('8 heads'), expect.stringContaining('1 heads')]);
  });

  it.each<[string, Architecture]>([
    ['deep', { ...small, swin: { ...small.swin, depths: [1, 3, 12] } }],
    ['wide', { ...small, swin: { ...small.swin, embed_dim: 48, num_heads: [3, 6, 12] } }],
    [
      'lopsided',
      { ...small, mttr: { ...small.mttr, d_model: 128, num_encoder_layers: 1, num_decoder_layers: 6, num_queries: 3 } },
    ],
    ['long-winded', { ...small, roberta: { ...small.roberta, num_hidden_layers: 24, max_position_embeddings: 130 } }],
    ['coarse', { ...small, mttr: { ...small.mttr, mask_kernels_dim: 16, dim_feedforward: 512 } }],
  ])('finds a %s network', (_what, wanted) => {
    const heads = {
      source: 'heads',
      mttr: { nheads: wanted.mttr.nheads },
      roberta: { num_attention_heads: wanted.roberta.num_attention_heads },
    };
    expect(inferArchitecture('x', tensorsOf(wanted), [heads]).architecture).toEqual(wanted);
  });

  it('takes another attention window from the configuration only, and checks it', () => {
    const other = { ...small, swin: { ...small.swin, window_size: [4, 7, 7] as [number, number, number] } };
    const given = (window: number[]) => [{ ...hints, swin: { ...config.swin, window_size: window } }];
    expect(inferArchitecture('x', tensorsOf(other), given([4, 7, 7])).architecture).toEqual(other);
    for (const wrong of [[], given([4, 7, 8])]) {
      expect(failure(tensorsOf(other), wrong)).toMatchObject({
        code: 'BAD_CHECKPOINT',
        hint: expect.stringContaining('window_size'),
      });
    }
  });

  it.each<[string, object, RegExp]>([
    ['queries', { mttr: { num_queries: 12 } }, /mttr\.num_queries 12, but in x\.pth\.tar it is 10/],
    ['depths', { swin: { depths: [2, 2, 6, 2] } }, /swin\.depths \[2,2,6\], but in x\.pth\.tar it is \[2,2,2\]/],
    ['vocabulary', { roberta: { vocab_size: 50265 } }, /roberta\.vocab_size 50265, but/],
    ['window', { swin: { window_size: [4, 7, 7] } }, /swin\.window_size/],
  ])('refuses a configuration with other %s', (_what, part, message) => {
    expect(failure(tensorsOf(small), [{ ...part, source: 'config.json' }])).toMatchObject({
      code: 'BAD_ARGUMENT',
      message: expect.stringMatching(message),
    });
  });

  it('refuses heads that cannot be', () => {
    expect(failure(tensorsOf(small), [{ source: 'c', mttr: { nheads: 7 } }])).toMatchObject({
      code: 'BAD_CHECKPOINT',
      message: expect.stringContaining('7 heads'),
    });
  });

  it.each([...expectedParameters(small).keys()].filter((_, i) => i % 7 === 0))('names the missing key %s', (name) => {
    const tensors = tensorsOf(small);
    tensors.delete(name);
    const error = failure(tensors) as Error & { code: string };
    expect(error.code).toMatch(/BAD_CHECKPOINT/);
    expect(error.message).toContain(name);
  });

  it('names missing, surplus, misshapen and integer keys, the first of many', () => {
    const tensors = tensorsOf(small);
    tensors.delete('vid_embed_proj.bias');
    tensors.set('is_referred_head.weight', { dtype: 'F32', shape: [64, 2] });
    tensors.set('transformer.decoder.norm.bias', { dtype: 'I64', shape: [64] });
    tensors.set('backbone.norm.weight', { dtype: 'F32', shape: [96] });
    tensors.set('transformer.text_encoder.embeddings.position_ids', { dtype: 'I64', shape: [1, 514] });
    expect(failure(tensors)).toMatchObject({
      code: 'BAD_CHECKPOINT',
      message:
        'x.pth.tar: vid_embed_proj.bias is missing, transformer.decoder.norm.bias holds I64 instead of floats, ' +
        'is_referred_head.weight has shape [64,2] instead of [2,64], "backbone.norm.weight" is surplus',
    });
    for (let i = 0; i < 50; i++) tensors.set(`surplus.${i}`, { dtype: 'F32', shape: [] });
    expect(failure(tensors)).toMatchObject({ message: expect.stringMatching(/"surplus.0" is surplus, and 49 more$/) });
  });

  it.each([
    ['nothing', new Map<string, TensorInfo>()],
    ['another network', new Map<string, TensorInfo>([['conv1.weight', { dtype: 'F32', shape: [64, 3, 7, 7] }]])],
  ])('refuses %s, naming what it lacks', (_what, tensors) => {
    expect(failure(tensors)).toMatchObject({
      code: 'BAD_CHECKPOINT',
      message: expect.stringContaining('backbone.patch_embed'),
    });
  });

  it('is not led astray by numbers in names', () => {
    const tensors = tensorsOf(small);
    for (const index of ['999999999', '1e9', '-1', '__proto__', '0x1F']) {
      tensors.set(`backbone.layers.0.blocks.${index}.norm1.weight`, { dtype: 'F32', shape: [24] });
    }
    expect(failure(tensors)).toMatchObject({ code: 'BAD_CHECKPOINT', message: expect.stringContaining('surplus') });
  });
});
