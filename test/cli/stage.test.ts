import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { registerStage } from '../../src/cli/stage.js';
import { readSafetensors, type TensorSource, writeSafetensors } from '../../src/tensors/safetensors.js';
import type { Tensor } from '../../src/tensors/tensor.js';
import { unpackBits } from '../support/bits.js';
import { noise, worstError } from '../support/compare.js';
import { type GoldenCase, readGoldenCase, swapped } from '../support/golden-case.js';
import { goldenModel, type TemporaryModel } from '../support/golden-model.js';
import { bytesOf, floatsOf } from '../support/safetensors.js';

let model: TemporaryModel;
let golden: GoldenCase;
beforeAll(async () => {
  model = await goldenModel();
  // What TensorRT this machine has must make no difference here.
  process.env.RVOS_TENSORRT_ADDONS = model.scratch;
  golden = await readGoldenCase('b_T6_90x150_2q');
});
afterAll(() => model.remove());

/** Runs `rvos stage` on tensors; returns what it wrote. */
async function stage(
  name: string,
  tensors: Record<string, TensorSource>,
  ...options: string[]
): Promise<Map<string, Tensor>> {
  const inputs = join(model.scratch, `${name}-in.safetensors`);
  const outputs = join(model.scratch, `${name}-out.safetensors`);
  await writeSafetensors(inputs, new Map(Object.entries(tensors)), { force: true });
  const program = new Command('rvos').exitOverride();
  registerStage(program);
  for (const command of program.commands) command.exitOverride().configureOutput({ writeErr: () => undefined });
  await program.parseAsync([
    'node',
    'rvos',
    'stage',
    name,
    '--model',
    model.folder,
    '--inputs',
    inputs,
    '--outputs',
    outputs,
    '--threads',
    '1',
    ...options,
  ]);
  return readSafetensors(outputs);
}

const f32 = (shape: readonly number[], data: Float32Array): TensorSource => ({ dtype: 'F32', shape, data });
const i32 = (...values: number[]): TensorSource => ({
  dtype: 'I32',
  shape: [values.length],
  data: Int32Array.from(values),
});

describe('rvos stage', () => {
  it('takes frames through every stage to the masks of the original implementation', async () => {
    const { tensors, clip, sentences } = golden;
    const { frames: t, height, width } = clip;
    const preprocessed = await stage(
      'preprocess',
      { frames: { dtype: 'U8', shape: [t, height, width, 3], data: bytesOf(tensors, 'frames.0') } },
      ...['--short-side', `${height}`, '--long-side', '640', '--antialias', 'off'],
    );
    expect(preprocessed.get('frames')!.shape).toEqual([1, t, 3, height, width]);

    const levels = await stage('backbone', Object.fromEntries(preprocessed));
    expect(worstError(swapped(tensors, 'backbone.2'), levels.get('level2')!.data as Float32Array)).toBeLessThan(2e-5);

    const size = [sentences.count, sentences.ids.length / sentences.count];
    const attention_mask: TensorSource = { dtype: 'I64', shape: size, data: sentences.mask };
    const text = await stage('text-encoder', {
      input_ids: { dtype: 'I64', shape: size, data: sentences.ids },
      attention_mask,
    });
    const outputs = await stage('transformer', {
      ...Object.fromEntries(levels),
      ...Object.fromEntries(text),
      attention_mask,
    });
    const scores = floatsOf(tensors, 'ytvos.trajectory_scores');
    expect(worstError(scores, outputs.get('referred_score')!.data as Float32Array)).toBeLessThan(1e-4);

    const [originalHeight, originalWidth] = golden.description.original_sizes[0]!;
    const masks = await stage(
      'mask-head',
      { mask_kernels: outputs.get('mask_kernels')!, mask_features: outputs.get('mask_features')! },
      ...['--padded-size', `${height}x${width}`, '--original-size', `${originalHeight}x${originalWidth}`],
    );
    const found = masks.get('masks')!;
    expect(found.shape).toEqual([sentences.count, t, originalHeight, originalWidth]);
    const perSentence = t * originalHeight! * originalWidth!;
    for (let p = 0; p < sentences.count; p++) {
      const truth = unpackBits(bytesOf(tensors, `ytvos.masks_packed.${p}`), 0, perSentence);
      const mask = found.data.subarray(p * perSentence, (p + 1) * perSentence);
      const wrong = truth.reduce((sum, bit, i) => sum + (bit === mask[i] ? 0 : 1), 0);
      expect(wrong / perSentence).toBeLessThanOrEqual(0.0005);
    }
  });

  it('takes windows of different lengths at once, each sentence looking at its own', async () => {
    const shape = [2, 5, 3, 40, 52];
    const half = 5 * 3 * 40 * 52;
    const frames = noise(2 * half, 5);
    const both = await stage('backbone', { frames: f32(shape, frames), frame_count: i32(5, 3) });
    const alone = await stage('backbone', {
      frames: f32([1, 3, 3, 40, 52], frames.slice(half, half + (half / 5) * 3)),
    });
    const text = { text_features: f32([2, 4, 64], noise(2 * 4 * 64, 6)), attention_mask: ones(2, 4) };
    const found = await stage('transformer', {
      ...Object.fromEntries(both),
      ...text,
      frame_count: i32(5, 3),
      window_index: i32(1, 0),
    });
    const expected = await stage('transformer', { ...Object.fromEntries(alone), ...text });
    const queries = found.get('referred_score')!.shape[1]!;
    const first = (tensor: Tensor) => (tensor.data as Float32Array).subarray(0, queries);
    expect(worstError(first(expected.get('referred_score')!), first(found.get('referred_score')!))).toBeLessThan(2e-5);
  });

  it.each([
    ['no tensor', 'backbone', {}, [], /inputs have no tensor frames/],
    [
      'wrong type',
      'backbone',
      { frames: { dtype: 'U8', shape: [1, 1, 3, 4, 4], data: new Uint8Array(48) } },
      [],
      /frames is U8/,
    ],
    [
      'a window that is not there',
      'transformer',
      () => ({ ...someLevels(), window_index: i32(1) }),
      [],
      /window_index has 1/,
    ],
    [
      'an unknown token',
      'text-encoder',
      { input_ids: { dtype: 'I64', shape: [1, 1], data: BigInt64Array.of(10n ** 6n) }, attention_mask: ones(1, 1) },
      [],
      /input_ids has 1000000/,
    ],
    ['no size', 'mask-head', {}, [], /does not know its sizes/],
    ['TensorRT', 'backbone', {}, ['--backend', 'tensorrt'], /neither the addon for TensorRT/],
  ] as const)('refuses %s in one line, and leaves the output alone', async (_, name, tensors, options, message) => {
    const inputs = (typeof tensors === 'function' ? tensors() : tensors) as Record<string, TensorSource>;
    const before = await readFile(join(model.scratch, `${name}-out.safetensors`)).catch(() => undefined);
    await expect(stage(name, inputs, ...options)).rejects.toThrow(message);
    expect(await readFile(join(model.scratch, `${name}-out.safetensors`)).catch(() => undefined)).toEqual(before);
  });

  it('lists what it wrote with --json', async () => {
    const write = vi.spyOn(process.stdout, 'write').mockImplementation(() => true);
    try {
      await stage('text-encoder', { input_ids: ones(1, 3), attention_mask: ones(1, 3) }, '--json');
      expect(JSON.parse(String(write.mock.calls[0]![0]))).toEqual({
        stage: 'text-encoder',
        outputs: [{ name: 'text_features', dtype: 'F32', shape: [1, 3, 64] }],
      });
    } finally {
      write.mockRestore();
    }
  });
});

function ones(...shape: number[]): TensorSource {
  return { dtype: 'I64', shape, data: new BigInt64Array(shape.reduce((a, b) => a * b)).fill(1n) };
}

/** Features of one frame of 16×16 pixels and one sentence for the golden network. */
function someLevels(): Record<string, TensorSource> {
  return {
    level0: f32([1, 1, 24, 4, 4], new Float32Array(384)),
    level1: f32([1, 1, 48, 2, 2], new Float32Array(192)),
    level2: f32([1, 1, 96, 1, 1], new Float32Array(96)),
    text_features: f32([1, 2, 64], new Float32Array(128)),
    attention_mask: ones(1, 2),
  };
}
