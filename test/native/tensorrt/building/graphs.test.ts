import { copyFile, mkdir, truncate, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type GraphProto, ModelProtoSchema, type NodeProto } from '../../../../src/model/onnx/onnx_pb.js';
import { stageGraph } from '../../../../src/model/stages/index.js';
import { loadTensorRt } from '../../../../src/native/load-tensorrt.js';
import type { TensorRtAddon } from '../../../../src/native/tensorrt-addon.js';
import { failedBuild, textProfile } from '../../../support/engine-builds.js';
import { openGoldenModel } from '../../../support/golden-model.js';

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
let addon: TensorRtAddon;
let good: Uint8Array;

beforeAll(async () => {
  golden = await openGoldenModel('fp16');
  ({ addon } = await loadTensorRt('tensorrt-rtx'));
  const { architecture, precision } = golden.model;
  good = stageGraph('text-encoder', { architecture, stored: precision, target: 'tensorrt', compute: 'fp16' });
});
afterAll(() => golden.remove());

let number = 0;
/** What becomes of an ONNX file; `folder` holds its weights. */
async function fail(bytes: Uint8Array, folder = golden.model.path) {
  const graph = join(folder, `broken-${++number}.onnx`);
  await writeFile(graph, bytes);
  const failure = await failBuild(graph);
  expect(failure.message).toContain(basename(graph));
  return failure;
}

function failBuild(graph: string) {
  return failedBuild(addon, {
    graph,
    output: join(golden.scratch, 'broken.engine'),
    profiles: [textProfile],
    targets: [86],
  });
}

/** The good graph with its first product changed. */
function withProduct(change: (product: NodeProto, graph: GraphProto) => void): Uint8Array {
  const model = fromBinary(ModelProtoSchema, good);
  const product = model.graph!.node.find(({ opType }) => opType === 'MatMul')!;
  change(product, model.graph!);
  return toBinary(ModelProtoSchema, model);
}

it('an operator that TensorRT does not have is BAD_GRAPH with the node’s name', async () => {
  let name = '';
  const bytes = withProduct((product) => {
    name = product.name;
    product.opType = 'NoSuchOperator';
  });
  const { code, message } = await fail(bytes);
  expect(code).toBe('BAD_GRAPH');
  expect(message).toContain(`node ${name} (NoSuchOperator)`);
});

it('a node whose input nothing makes is BAD_GRAPH with the node’s name', async () => {
  let name = '';
  const bytes = withProduct((product) => {
    name = product.name;
    product.input[0] = 'nothing_makes_this';
  });
  const { code, message } = await fail(bytes);
  expect(code).toBe('BAD_GRAPH');
  expect(message).toContain(`node ${name} (MatMul)`);
});

it('a graph without outputs is BAD_GRAPH', async () => {
  const none = toBinary(ModelProtoSchema, create(ModelProtoSchema, { irVersion: 10n }));
  for (const bytes of [new Uint8Array(0), none]) {
    expect(await fail(bytes)).toMatchObject({ code: 'BAD_GRAPH' });
  }
});

it('what is no ONNX file is BAD_GRAPH', async () => {
  for (const bytes of [Buffer.from('version https://git-lfs.github.com/spec/v1'), good.subarray(0, good.length / 2)]) {
    const { code, message } = await fail(bytes);
    expect(code).toBe('BAD_GRAPH');
    expect(message).toContain('Failed to parse the ONNX model');
  }
});

it('a file that is not there, or a folder, is BAD_GRAPH', async () => {
  for (const graph of [join(golden.scratch, 'absent.onnx'), golden.scratch]) {
    expect(await failBuild(graph)).toMatchObject({ code: 'BAD_GRAPH', message: expect.stringContaining(graph) });
  }
});

it('weights that are cut short, or missing, are BAD_GRAPH naming their file', async () => {
  const folder = join(golden.scratch, 'short');
  await mkdir(folder);
  expect(await fail(good, folder)).toMatchObject({
    code: 'BAD_GRAPH',
    message: expect.stringContaining('weights.bin'),
  });
  await copyFile(golden.model.weightsPath, join(folder, 'weights.bin'));
  for (const bytes of [100_000, 0]) {
    await truncate(join(folder, 'weights.bin'), bytes);
    const { code, message } = await fail(good, folder);
    expect(code).toBe('BAD_GRAPH');
    expect(message).toContain('weights.bin');
  }
});
