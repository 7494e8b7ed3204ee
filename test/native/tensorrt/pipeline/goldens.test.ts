import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { pipelineLimits } from '../../../../src/backends/tensorrt/pipeline-limits.js';
import {
  engineGraph,
  engineLimits,
  type PlannedEngine,
  planProfiles,
  planSize,
  planTextEncoder,
} from '../../../../src/engines/engine-plan.js';
import { maskByteLength } from '../../../../src/masks/mask.js';
import { loadCore } from '../../../../src/native/load-core.js';
import { rmsError, worstError } from '../../../support/compare.js';
import { recordFigure } from '../../../support/figures.js';
import { type GoldenCase, readGoldenCase, swapped } from '../../../support/golden-case.js';
import { openGoldenModel } from '../../../support/golden-model.js';
import { dataOf, runNetwork } from '../../../support/graph-session.js';
import { bytesOf, floatsOf } from '../../../support/safetensors.js';
import { OnnxStages, type SimulatedAddon, simulatedAddon } from '../../../support/simulated-device.js';

/*
 * The golden network in its FP16 engine graphs, built, opened and run by the addon on the simulated device, against the
 * original implementation.
 */

let addon: SimulatedAddon;
let golden: Awaited<ReturnType<typeof openGoldenModel>>;
const stages = new OnnxStages();

beforeAll(async () => {
  addon = simulatedAddon();
  addon.setStageRunner(stages.run);
  golden = await openGoldenModel();
});
afterAll(async () => {
  await stages.release();
  await golden.remove();
});

async function build(planned: PlannedEngine): Promise<string> {
  const { model } = golden;
  const graph = join(model.path, `${planned.name}.onnx`);
  const output = join(golden.scratch, `${planned.name}.engine`);
  await writeFile(graph, engineGraph(model, planned));
  const profiles = planProfiles(model, planned, engineLimits(model));
  await addon.buildEngine({ graph, output, profiles }).done;
  return output;
}

async function openSize(height: number, width: number) {
  const { model } = golden;
  const size = { height, width };
  const paths: Record<string, string> = {};
  for (const planned of planSize(model, size)) paths[planned.role] = await build(planned);
  const manifest = { build: { scratch_bytes: 0 } };
  const engine = (role: string) => ({ path: paths[role]!, manifest });
  const limits = pipelineLimits(model, {
    size,
    limits: engineLimits(model),
    short: engine('backbone-short'),
    long: engine('backbone-long'),
    transformer: engine('transformer'),
  } as unknown as Parameters<typeof pipelineLimits>[1]);
  const { mean, std } = model.preprocessing;
  const engines = {
    short: paths['backbone-short']!,
    long: paths['backbone-long']!,
    transformer: paths.transformer!,
  };
  return addon.openPipeline({ ...limits, device: 0, engines, mean, std });
}

async function encode({ sentences }: GoldenCase): Promise<{ features: Float32Array; tokens: number }> {
  const tokens = sentences.ids.length / sentences.count;
  const limits = engineLimits(golden.model);
  const encoder = await addon.openTextEncoder({
    device: 0,
    engine: await build(planTextEncoder()),
    sentences: limits.sentences,
    tokens: limits.tokens,
    features: golden.model.architecture.mttr.d_model,
  });
  const job = { inputIds: sentences.ids, attentionMask: sentences.mask, sentences: sentences.count, tokens };
  const features = await encoder.encode(job);
  await encoder.dispose();
  await encoder.dispose();
  await expect(encoder.encode(job)).rejects.toMatchObject({ code: 'DISPOSED' });
  return { features, tokens };
}

/** Masks of the FP32 network at the frames' own size. */
async function exactMasks({ clip, frames, sentences }: GoldenCase, p: number): Promise<Uint8Array> {
  const variant = { target: 'onnxruntime', compute: 'fp32', clip } as const;
  const outputs = await runNetwork(golden.model, variant, frames, sentences);
  const [, , kernelSize, featureHeight, featureWidth] = outputs.mask_features!.dims as number[];
  const part = (name: string) => {
    const data = dataOf(outputs, name);
    return data.subarray((p * data.length) / sentences.count, ((p + 1) * data.length) / sentences.count);
  };
  const { height, width } = clip;
  const target = new Uint8Array(clip.frames * maskByteLength(width, height));
  await loadCore().maskHead({
    kernels: part('mask_kernels'),
    features: part('mask_features'),
    frames: clip.frames,
    kernelSize: kernelSize!,
    featureHeight: featureHeight!,
    featureWidth: featureWidth!,
    paddedHeight: height,
    paddedWidth: width,
    resizedHeight: height,
    resizedWidth: width,
    height,
    width,
    target,
  });
  return target;
}

describe('the golden network in FP16', () => {
  it.each(['a_T8_96x160', 'b_T6_90x150_2q', 'c_T24_64x112', 'd_blocks_T10_44x60'])('%s', async (name) => {
    const found = await readGoldenCase(name);
    const { tensors, clip, sentences } = found;
    const { height, width } = clip;
    const { features, tokens } = await encode(found);
    const exact = swapped(tensors, 'text.projected');
    recordFigure('FP16 text features, rms error / rms', name, rmsError(exact, features));
    expect(rmsError(exact, features)).toBeLessThan(0.005);

    const pipeline = await openSize(height, width);
    const pixels = bytesOf(tensors, 'frames.0');
    const frame = height * width * 3;
    const width1 = features.length / (sentences.count * tokens);
    const texts = Array.from({ length: sentences.count }, (_, p) => {
      const mask = sentences.mask.subarray(p * tokens, (p + 1) * tokens);
      const own = mask.filter((bit) => bit === 1n).length;
      const from = p * tokens * width1;
      return { window: 0, tokens: own, features: features.slice(from, from + own * width1) };
    });
    const frames = Array.from({ length: clip.frames }, (_, t) => pixels.subarray(t * frame, (t + 1) * frame));
    const results = await pipeline.run({
      windows: [{ stream: 1, start: 0, count: clip.frames, shared: 0, frames }],
      sentences: texts,
      source: { height, width, format: 'rgb', pitch: 3 * width },
      antialias: true,
      queries: 'best',
    }).done;

    const scores = floatsOf(tensors, 'ytvos.trajectory_scores');
    const queries = scores.length / sentences.count;
    for (const [p, result] of results.entries()) {
      const truth = scores.subarray(p * queries, (p + 1) * queries);
      expect(result.objectQuery).toBe(truth.indexOf(Math.max(...truth)));
      const masks = await exactMasks(found, p);
      const { intersection, union } = loadCore().maskOverlap(masks, result.masks);
      recordFigure('FP16 masks, IoU with FP32', `${name} sentence ${p}`, intersection / union);
      expect(intersection / union).toBeGreaterThanOrEqual(0.99);
    }

    const levels = await pipeline.runStage('backbone', {
      frames: { dtype: 'float32', shape: [1, clip.frames, 3, height, width], data: found.frames },
    });
    for (const level of [0, 1, 2]) {
      if (!tensors.has(`backbone.${level}`)) continue;
      const expected = swapped(tensors, `backbone.${level}`);
      const values = levels[`level${level}`]!.data as Float32Array;
      recordFigure('FP16 pipeline levels, rms error / rms', `${name} level${level}`, rmsError(expected, values));
      expect(rmsError(expected, values)).toBeLessThan(0.005);
      expect(worstError(expected, values)).toBeLessThan(0.03);
    }
    await pipeline.dispose();
  });
});
