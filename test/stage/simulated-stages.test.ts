import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openRuntime } from '../../src/backends/cpu/runtime.js';
import { registerStage } from '../../src/cli/stage.js';
import { buildEngines } from '../../src/engines/build-engines.js';
import { EngineStore } from '../../src/engines/engine-store.js';
import { cpuStages } from '../../src/stage/network-stages.js';
import { StageInputs } from '../../src/stage/stage-inputs.js';
import { type StageEngines, tensorRtStages } from '../../src/stage/tensorrt-stages.js';
import { readSafetensors, writeSafetensors } from '../../src/tensors/safetensors.js';
import type { Tensor } from '../../src/tensors/tensor.js';
import { noise, rmsError, worstError } from '../support/compare.js';
import { openGoldenModel } from '../support/golden-model.js';
import { OnnxStages, type SimulatedAddon, simulatedAddon } from '../support/simulated-device.js';

/*
 * Single stages through the addon and its memory on the simulated device, against ONNX Runtime's own graphs. In FP32, so that
 * what differs is a mistake; and once as the command line runs them, in FP16.
 */

const size = { height: 60, width: 94 };
let golden: Awaited<ReturnType<typeof openGoldenModel>>;
let addon: SimulatedAddon;
let stages: OnnxStages;
let engines: StageEngines;

beforeAll(async () => {
  golden = await openGoldenModel();
  process.env.RVOS_TENSORRT_FLAVOR = 'simulated';
  process.env.RVOS_ENGINES = join(golden.scratch, 'engines');
  addon = simulatedAddon();
  addon.load({ infer: '', parser: '' });
  stages = new OnnxStages();
  addon.setStageRunner(stages.run);
  const [device] = addon.devices();
  const { model } = golden;
  const builder = { addon, libraryVersion: addon.version };
  const common = { model, sizes: [size], builder, target: { kind: 'device', device: device! } } as const;
  await buildEngines(common);
  await buildEngines({ ...common, precision: 'fp32' });
  const host = { flavor: 'simulated', libraryVersion: addon.version, device: device! } as const;
  engines = { model, addon, store: new EngineStore(), host, device: 0, precision: 'fp32' };
});
afterAll(async () => {
  delete process.env.RVOS_TENSORRT_FLAVOR;
  delete process.env.RVOS_ENGINES;
  await stages.release();
  await golden.remove();
});

const f32 = (shape: readonly number[], seed: number): Tensor => {
  return {
    dtype: 'F32',
    shape,
    data: noise(
      shape.reduce((a, b) => a * b),
      seed,
    ),
  };
};
const int32 = (...values: number[]): Tensor => ({
  dtype: 'I32',
  shape: [values.length],
  data: Int32Array.from(values),
});
const int64 = (shape: readonly number[], ...values: number[]): Tensor => {
  return { dtype: 'I64', shape, data: BigInt64Array.from(values.map(BigInt)) };
};

async function both(stage: keyof typeof tensorRtStages, tensors: Record<string, Tensor>) {
  const inputs = new StageInputs(stage, new Map(Object.entries(tensors)));
  const exact = await openRuntime({ runtime: 'onnxruntime', threads: 1 });
  const expected = await cpuStages[stage](golden.model, inputs, exact);
  const found = await tensorRtStages[stage](engines, inputs);
  return { found, expected };
}

function expectClose(found: ReadonlyMap<string, Tensor>, expected: ReadonlyMap<string, Tensor>, limit: number): void {
  expect([...found.keys()].sort()).toEqual([...expected.keys()].sort());
  for (const [name, { dtype, shape, data }] of expected) {
    const other = found.get(name)!;
    expect([name, other.dtype, other.shape]).toEqual([name, dtype, shape]);
    expect(worstError(data as Float32Array, other.data as Float32Array), name).toBeLessThan(limit);
  }
}

describe('stages of TensorRT equal those of ONNX Runtime', () => {
  it('backbone: windows of every kind of length in one call', async () => {
    const tensors = { frames: f32([4, 11, 3, size.height, size.width], 1), frame_count: int32(11, 3, 9, 8) };
    const { found, expected } = await both('backbone', tensors);
    expectClose(found, expected, 1e-3);
  });

  it('text encoder: more sentences than a batch holds', async () => {
    const count = 10;
    const ids = Array.from({ length: count * 6 }, (_, i) => (i % 6 === 0 ? 0 : 3 + (i % 40)));
    // Lengths 4, 5 and 6, padded at the end.
    const mask = ids.map((_, i) => (i % 6 < 4 + (Math.floor(i / 6) % 3) ? 1 : 0));
    const tensors = { input_ids: int64([count, 6], ...ids), attention_mask: int64([count, 6], ...mask) };
    const { found, expected } = await both('text-encoder', tensors);
    expectClose(found, expected, 1e-3);
  });

  it.each([5, 12])('transformer: sentences of two windows of %i frames', async (frames) => {
    const { swin, mttr } = golden.model.architecture;
    const levels = [
      [15, 24],
      [8, 12],
      [4, 6],
    ].map(([h, w], i) => f32([2, frames, swin.embed_dim << i, h!, w!], i + 2));
    const tensors = {
      ...Object.fromEntries(levels.map((level, i) => [`level${i}`, level])),
      text_features: f32([3, 4, mttr.d_model], 9),
      attention_mask: int64([3, 4], 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 1, 0),
      frame_count: int32(frames, frames - 2),
      window_index: int32(1, 0, 1),
    };
    const { found, expected } = await both('transformer', tensors);
    expectClose(found, expected, 1e-3);
  });
});

it('rvos stage --backend tensorrt runs the FP16 engines, and says which are missing', async () => {
  const run = async (stage: string, tensors: Record<string, Tensor>, backend: string) => {
    const [inputs, outputs] = ['in', 'out'].map((name) => join(golden.scratch, `${name}.safetensors`)) as [
      string,
      string,
    ];
    await writeSafetensors(inputs, new Map(Object.entries(tensors)), { force: true });
    const program = new Command('rvos').exitOverride();
    registerStage(program);
    const args = ['--model', golden.folder, '--inputs', inputs, '--outputs', outputs, '--backend', backend];
    await program.parseAsync(['node', 'rvos', 'stage', stage, ...args]);
    return readSafetensors(outputs);
  };
  const frames = f32([1, 7, 3, size.height, size.width], 3);
  const exact = await run('backbone', { frames }, 'onnxruntime');
  const engine = await run('backbone', { frames }, 'tensorrt');
  for (const [name, { data }] of exact) {
    const error = rmsError(data as Float32Array, engine.get(name)!.data as Float32Array);
    expect(error).toBeGreaterThan(0);
    expect(error).toBeLessThan(0.005);
  }
  const other = run('backbone', { frames: f32([1, 7, 3, 64, 94], 3) }, 'tensorrt');
  await expect(other).rejects.toMatchObject({ code: 'ENGINE_MISSING', hint: expect.stringContaining('--size 64x94') });
});
