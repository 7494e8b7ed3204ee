import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { buildEngines } from '../../src/engines/build-engines.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import { type ModelFolder, openModelFolder } from '../../src/model/model-folder.js';
import type { NativePipeline, PipelineOptions, StageTensor } from '../../src/native/tensorrt-addon.js';
import { StageInputs } from '../../src/stage/stage-inputs.js';
import { type StageEngines, tensorRtStages } from '../../src/stage/tensorrt-stages.js';
import type { Tensor } from '../../src/tensors/tensor.js';
import { FakeEngineAddon } from '../support/fake-engine-addon.js';

const size = { height: 60, width: 108 };
const device = { name: 'NVIDIA H200', computeCapability: 90 };
const host = { flavor: 'tensorrt', libraryVersion: '11.4.0.1', device } as const;

let scratch: string;
let model: ModelFolder;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-stage-'));
  model = await openModelFolder('compact');
  const builder = { addon: new FakeEngineAddon(), libraryVersion: host.libraryVersion };
  const limits = { windows: 2, sentences: 3, tokens: 10 };
  await buildEngines({ model, sizes: [size], builder, target: { kind: 'device', device }, limits, root: scratch });
});
afterAll(() => rm(scratch, { recursive: true, force: true }));

/** What the pipeline was asked for, and how often it and the text encoder were opened and disposed of. */
let calls: { stage: string; inputs: Readonly<Record<string, StageTensor>> }[];
let opened: PipelineOptions[];
let open: number;
beforeEach(() => {
  calls = [];
  opened = [];
  open = 0;
});

/** Channels of the model's finest level. */
const channels = () => model.architecture.swin.embed_dim;

/** A backbone whose levels hold the mean of each frame: enough to see that frames come back in their places. */
function meansOfFrames({ frames }: Readonly<Record<string, StageTensor>>): Record<string, StageTensor> {
  const { shape, data } = frames!;
  const [b, t, , h, w] = shape as [number, number, number, number, number];
  const pixels = 3 * h * w;
  const means = Array.from({ length: b * t }, (_, i) => Number(data[i * pixels]));
  const sizes = [15 * 27 * channels(), 8 * 14 * 2 * channels(), 4 * 7 * 4 * channels()];
  return Object.fromEntries(
    sizes.map((each, i) => {
      const level = Float32Array.from({ length: b * t * each }, (_, j) => means[Math.floor(j / each)]! + i);
      return [`level${i}`, { dtype: 'float32', shape: [b, t, each], data: level }];
    }),
  );
}

function engines(): StageEngines {
  const pipeline = {
    runStage: async (stage: string, inputs: Readonly<Record<string, StageTensor>>) => {
      calls.push({ stage, inputs });
      if (stage === 'backbone') return meansOfFrames(inputs);
      return {
        referred_score: { dtype: 'float32', shape: [1, 2], data: new Float32Array([0.25, 0.75]) },
        query_index: { dtype: 'int32', shape: [1], data: new Int32Array([1]) },
      };
    },
    dispose: async () => {
      open--;
    },
  } as unknown as NativePipeline;
  return {
    model,
    store: new EngineStore(scratch),
    host,
    device: 0,
    addon: {
      openPipeline: async (options) => {
        opened.push(options);
        open++;
        return pipeline;
      },
      openTextEncoder: async () => {
        open++;
        return {
          encode: async ({ inputIds, sentences, tokens }) => {
            calls.push({
              stage: 'text-encoder',
              inputs: { ids: { dtype: 'int64', shape: [sentences, tokens], data: inputIds } },
            });
            return Float32Array.from({ length: sentences * tokens * 128 }, (_, i) =>
              Number(inputIds[Math.floor(i / 128)]),
            );
          },
          dispose: async () => {
            open--;
          },
        };
      },
    },
  };
}

function inputs(stage: string, tensors: Record<string, Tensor>): StageInputs {
  return new StageInputs(stage, new Map(Object.entries(tensors)));
}

/** Frames whose pixels are 10·window + position. */
function frames(batch: number, count: number): Tensor {
  const pixels = 3 * size.height * size.width;
  const data = new Float32Array(batch * count * pixels);
  for (let b = 0; b < batch; b++) {
    for (let t = 0; t < count; t++) data.fill(10 * b + t, (b * count + t) * pixels, (b * count + t + 1) * pixels);
  }
  return { dtype: 'F32', shape: [batch, count, 3, size.height, size.width], data };
}

const int32 = (...values: number[]): Tensor => ({
  dtype: 'I32',
  shape: [values.length],
  data: Int32Array.from(values),
});

describe('stages on engines', () => {
  it('take windows to the backbone of their length, in batches of the size they were built for', async () => {
    const counts = [3, 9, 8, 1, 10];
    const given = inputs('backbone', { frames: frames(5, 10), frame_count: int32(...counts) });
    const outputs = await tensorRtStages.backbone(engines(), given);
    expect(
      calls.map(({ inputs: { frames: f, frame_count } }) => [f!.shape.slice(0, 2), [...frame_count!.data]]),
    ).toEqual([
      [
        [2, 8],
        [3, 8],
      ],
      [[1, 1], [1]],
      [
        [2, 10],
        [9, 10],
      ],
    ]);
    const level1 = outputs.get('level1')!;
    expect(level1.shape).toEqual([5, 10, 2 * channels(), 8, 14]);
    const frame = 2 * channels() * 8 * 14;
    for (const [b, count] of counts.entries()) {
      for (let t = 0; t < 10; t++) {
        const expected = t < count ? 10 * b + t + 1 : 0;
        expect(level1.data[(b * 10 + t) * frame + 5]).toBe(expected);
      }
    }
    expect(opened[0]).toMatchObject({
      height: 60,
      width: 108,
      shortFrames: 8,
      longFrames: 24,
      windows: 2,
      inFlight: 1,
    });
    expect(open).toBe(0);
  });

  it('refuse more frames than the engines take', async () => {
    const given = inputs('backbone', { frames: frames(1, 25) });
    await expect(tensorRtStages.backbone(engines(), given)).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: '25 frames, the engines take up to 24',
      hint: 'Use --backend onnxruntime.',
    });
    expect(opened).toEqual([]);
  });

  it('take sentences to the text encoder in batches', async () => {
    const ids = BigInt64Array.from({ length: 8 * 4 }, (_, i) => BigInt(i));
    const tensor = (data: BigInt64Array): Tensor => ({ dtype: 'I64', shape: [8, 4], data });
    const given = inputs('text-encoder', {
      input_ids: tensor(ids),
      attention_mask: tensor(new BigInt64Array(32).fill(1n)),
    });
    const outputs = await tensorRtStages['text-encoder'](engines(), given);
    expect(calls.map(({ inputs: { ids: each } }) => each!.shape)).toEqual([
      [3, 4],
      [3, 4],
      [2, 4],
    ]);
    const { shape, data } = outputs.get('text_features')!;
    expect(shape).toEqual([8, 4, 128]);
    expect(Array.from({ length: 32 }, (_, i) => data[i * 128])).toEqual(Array.from(ids, Number));
    expect(open).toBe(0);
  });

  it('refuse sentences that are too long, and name the command for longer ones', async () => {
    const tensor: Tensor = { dtype: 'I64', shape: [1, 11], data: new BigInt64Array(11).fill(1n) };
    const given = inputs('text-encoder', { input_ids: tensor, attention_mask: tensor });
    await expect(tensorRtStages['text-encoder'](engines(), given)).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      message: '11 tokens, the engines take up to 10',
      hint: expect.stringMatching(/rvos build --model compact --tokens 11 --out /),
    });
  });

  const float32 = (...shape: number[]): Tensor => ({
    ...{ dtype: 'F32', shape, data: new Float32Array(shape.reduce((a, b) => a * b)) },
  });
  const transformer = (sentences: number) => ({
    level0: float32(1, 2, channels(), 15, 27),
    level1: float32(1, 2, 2 * channels(), 8, 14),
    level2: float32(1, 2, 4 * channels(), 4, 7),
    text_features: { dtype: 'F32', shape: [sentences, 5, 128], data: new Float32Array(sentences * 5 * 128) } as Tensor,
    attention_mask: { dtype: 'I64', shape: [sentences, 5], data: new BigInt64Array(sentences * 5).fill(1n) } as Tensor,
  });

  it('find the transformer by the size of the levels, and fill in what may be left out', async () => {
    const outputs = await tensorRtStages.transformer(engines(), inputs('transformer', transformer(2)));
    const { frame_count, window_index } = calls[0]!.inputs;
    expect([...frame_count!.data]).toEqual([2]);
    expect([...window_index!.data]).toEqual([0, 0]);
    expect(outputs.get('query_index')).toEqual({ dtype: 'I32', shape: [1], data: new Int32Array([1]) });
    expect(outputs.get('referred_score')!.dtype).toBe('F32');
    expect(open).toBe(0);
  });

  it('refuse more sentences than the engines take', async () => {
    await expect(tensorRtStages.transformer(engines(), inputs('transformer', transformer(4)))).rejects.toMatchObject({
      code: 'LIMIT_EXCEEDED',
      hint: expect.stringContaining('rvos build --model compact --size 60x108 --sentences 4'),
    });
    expect(open).toBe(0);
  });
});
