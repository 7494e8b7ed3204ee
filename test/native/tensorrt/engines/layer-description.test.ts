import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { packageRoot } from '../../../../src/package-root.js';

/** The description of a layer needs neither TensorRT nor a GPU, so it is compiled by itself here. */
const program = `
#include <iostream>
#include <iterator>
#include "layer_description.h"
int main() {
  const std::string json{std::istreambuf_iterator<char>(std::cin), {}};
  const auto layer = rvos::tensorrt::describeLayer(json);
  std::cout << layer.name << '\\n' << layer.type << '\\n' << layer.fusedAttention << '\\n';
}`;

let folder: string;
let describer: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'rvos-layers-'));
  describer = join(folder, 'describe');
  const sources = join(packageRoot, 'native/tensorrt/engines');
  const files = ['-x', 'c++', '-', join(sources, 'layer_description.cc')];
  execFileSync('c++', ['-std=c++17', `-I${sources}`, ...files, '-o', describer], { input: program });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function describeLayer(json: string) {
  const [name, type, fusedAttention] = execFileSync(describer, { input: json, encoding: 'utf8' }).split('\n');
  return { name, type, fusedAttention: fusedAttention === '1' };
}

it('name and type are those of the layer, not of its tensors', () => {
  const layer = {
    Inputs: [{ Name: 'q', Location: 'Device', LayerType: 'no' }],
    Name: 'backbone.layers.0 \\ "a"',
    LayerType: 'gemm',
    Outputs: [{ Name: 'mha_v2', Dimensions: [1, 2] }],
    TacticName: 'sm80_xmma_gemm',
    Metadata: '[ONNX Layer: MatMul_1]',
  };
  for (const indent of [0, 2]) {
    expect(describeLayer(JSON.stringify(layer, null, indent))).toEqual({
      name: layer.Name,
      type: 'gemm',
      fusedAttention: false,
    });
  }
});

it.each([
  { Name: '_gemm_mha_v2_myl0_17', LayerType: 'kgen' },
  { Name: 'attn', LayerType: 'fusion', TacticName: 'fmha_v2_flash_attention_fp16_S_392_D_32_sm90' },
  { Name: '__myl_Fmha_0', LayerType: 'MultiHeadAttention' },
])('fused attention is recognised: %o', (layer) => {
  expect(describeLayer(JSON.stringify(layer)).fusedAttention).toBe(true);
});

it('a softmax and two products are no fused attention', () => {
  for (const Name of ['__myl_MaxSubExpSum_myl0_3', '_gemm_myl0_4', 'alpha_version', 'MatMul_multihead']) {
    expect(describeLayer(JSON.stringify({ Name, LayerType: 'kgen' })).fusedAttention).toBe(false);
  }
});

it('with little verbosity there is a name alone; what is no JSON does no harm', () => {
  expect(describeLayer('"_gemm_mha_v2_0x1"')).toEqual({ name: '_gemm_mha_v2_0x1', type: '', fusedAttention: true });
  for (const odd of ['', '{', '{"Name', '{"Name":"a', '{"Name":"a\\', '"', ']]}}', '{"Name":{"Name":"x"}}']) {
    expect(describeLayer(odd).type).toBe('');
  }
});
