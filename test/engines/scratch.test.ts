import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { Architecture, StageName } from '../../src/model/architecture.js';
import type { ClipSize, FrameSize } from '../../src/model/clip-size.js';
import { stageGraph } from '../../src/model/stages/index.js';
import { levelSizes } from '../../src/model/stages/stage-options.js';
import { volume, windowGrid } from '../../src/model/stages/window-grid.js';
import { weightOffsets } from '../../src/model/weight-layout.js';
import { loadTensorRt } from '../../src/native/load-tensorrt.js';
import type { EngineBuildReport, ShapeRange, TensorRtAddon } from '../../src/native/tensorrt-addon.js';
import { type EngineFacts, engineFacts } from '../support/engine-facts.js';
import { recordFigure } from '../support/figures.js';
import { publishedArchitecture } from '../support/random-checkpoint.js';

/*
 * What the builder makes of the published network's graphs, read from the memory its engines need and the size of their
 * files. The scores of one block, were they written to memory, or masks or biases, were they stored in the engine, would
 * not fit into the bounds. docs/tensorrt-graphs.md has the figures.
 */

const size = { height: 360, width: 640 };
/** As published, but for the vocabulary, of which an engine keeps a table and nothing else. */
const architecture: Architecture = {
  ...publishedArchitecture,
  roberta: { ...publishedArchitecture.roberta, vocab_size: 100 },
};
const { swin, mttr } = architecture;
const half = 2;
/** Code of an engine's kernels and their tables. */
const code = 10 * 2 ** 20;

let addon: TensorRtAddon;
let folder: string;
beforeAll(async () => {
  ({ addon } = await loadTensorRt('tensorrt-rtx'));
  folder = await mkdtemp(join(tmpdir(), 'rvos-scratch-'));
  await writeRandomWeights(join(folder, 'weights.bin'));
});
afterAll(async () => {
  if (folder) await rm(folder, { recursive: true, force: true });
});

/** FP16 values of all sizes from 1/16 to 1/8: no two weights are the same. */
async function writeRandomWeights(path: string): Promise<void> {
  const file = await open(path, 'w');
  const { totalBytes } = weightOffsets(architecture, 'fp16');
  const chunk = new Uint16Array(2 ** 20);
  let state = 1;
  for (let at = 0; at < totalBytes; at += chunk.byteLength) {
    for (let i = 0; i < chunk.length; i++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      chunk[i] = 0x2c00 | ((state >>> 16) & 0x83ff);
    }
    await file.write(new Uint8Array(chunk.buffer, 0, Math.min(chunk.byteLength, totalBytes - at)));
  }
  await file.close();
}

async function build(
  stage: StageName,
  clip: ClipSize | FrameSize | undefined,
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<EngineBuildReport & EngineFacts> {
  const name = clip && 'frames' in clip ? `${stage}-${clip.frames}` : stage;
  const graph = join(folder, `${name}.onnx`);
  await writeFile(
    graph,
    stageGraph(stage, {
      ...{ architecture, stored: 'fp16', target: 'tensorrt', compute: 'fp16', sums: 'fp32' },
      ...(clip && { clip }),
    }),
  );
  const fixed = (shape: readonly number[]): ShapeRange => ({ min: shape, opt: shape, max: shape });
  const profile = Object.fromEntries(Object.entries(shapes).map(([input, shape]) => [input, fixed(shape)]));
  const output = join(folder, `${name}.engine`);
  const log = join(folder, `${name}.log`);
  const report = await addon.buildEngine({ graph, output, profiles: [profile], targets: [86], log }).done;
  recordFigure('scratch memory of an engine at 360×640, MB', name, report.scratchBytes! / 1e6);
  recordFigure('size of an engine at 360×640, MB', name, report.engineBytes / 1e6);
  const facts = await engineFacts(output, log);
  recordFigure('kernels of an engine', name, facts.kernels);
  return { ...report, ...facts };
}

/** Attention is fused, every sum is FP32, and kernels and traffic stay within what was recorded. */
function expectBudget(
  facts: EngineFacts,
  budget: { readonly fused: number; readonly kernels: number; readonly products: number; readonly gigabytes?: number },
): void {
  expect(facts.fusedAttentions).toBe(budget.fused);
  expect(facts.attentionSums).toEqual(new Array(2 * budget.fused).fill('fp32'));
  expect(facts.sums).toEqual(new Array(budget.products).fill(2));
  expect(facts.kernels).toBeLessThanOrEqual(budget.kernels);
  if (budget.gigabytes === undefined) return;
  expect(facts.traffic! / 1e9).toBeGreaterThan(0.9 * budget.gigabytes);
  expect(facts.traffic! / 1e9).toBeLessThan(1.02 * budget.gigabytes);
}

function weightBytes(prefixes: readonly string[]): number {
  const entries = [...weightOffsets(architecture, 'fp16').entries];
  return entries.reduce((sum, [name, { length }]) => sum + (prefixes.some((p) => name.startsWith(p)) ? length : 0), 0);
}

it.each([24, 8])('the backbone for %i frames keeps neither scores nor masks', async (frames) => {
  const clip = { frames, ...size };
  const report = await build('backbone', clip, {
    frames: [1, frames, 3, size.height, size.width],
    frame_count: [1],
  });

  expectBudget(report, {
    fused: 10,
    kernels: frames === 24 ? 111 : 110,
    products: 53,
    gigabytes: frames === 24 ? 10.343 : 3.487,
  });

  // What is alive at once: in attention the residual and five times the window tokens (normed, q, k, v and mixed values);
  // in the feed-forward network the residual, its hidden layer of four times the width, and the result.
  const alive = levelSizes(size.height, size.width).map(([h, w], level) => {
    const width = swin.embed_dim << level;
    const map = [frames, h, w] as const;
    const grid = windowGrid(map, swin.window_size, true);
    const rows = volume(map);
    const slots = volume(grid.count) * volume(grid.window);
    return half * width * Math.max(rows + 5 * slots, rows * (1 + 4 + 1));
  });
  const largest = Math.max(...alive);
  // Half as much again for what cannot be placed without gaps.
  expect(report.scratchBytes).toBeGreaterThan(largest / 2);
  expect(report.scratchBytes).toBeLessThan(1.5 * largest);

  // One block's scores alone would not fit into what the bound leaves.
  const grid = windowGrid([frames, ...levelSizes(size.height, size.width)[0]!], swin.window_size, true);
  const scores = half * volume(grid.count) * swin.num_heads[0]! * volume(grid.window) ** 2;
  expect(0.5 * largest).toBeLessThan(scores);

  // Weights and the index into the bias tables; all biases of the network would add 28 MB, its masks 800.
  const index = 4 * volume(grid.window) ** 2;
  expect(report.engineBytes).toBeLessThan(weightBytes(['backbone.']) + index + code);
});

it('the transformer keeps no scores, whatever number of frames it is built for', async () => {
  const [frames, tokens] = [24, 16];
  const levels = levelSizes(size.height, size.width);
  const report = await build('transformer', size, {
    ...Object.fromEntries(levels.map(([h, w], i) => [`level${i}`, [1, frames, swin.embed_dim << i, h, w]])),
    frame_count: [1],
    text_features: [1, tokens, mttr.d_model],
    attention_mask: [1, tokens],
    window_index: [1],
  });
  expectBudget(report, { fused: 9, kernels: 122, products: 42, gigabytes: 2.605 });
  const [h, w] = levels[2]!;
  const rows = h * w + tokens;
  // The sequence and its positions, what attention needs, the hidden layer of the feed-forward network; the first skip
  // connection of the spatial decoder may wait meanwhile.
  const skip = frames * (mttr.d_model / 4) * volume([1, ...levels[0]!]);
  const alive = half * (frames * rows * (3 * mttr.d_model + mttr.dim_feedforward) + skip);
  expect(report.scratchBytes).toBeLessThan(1.5 * alive);
  expect(1.5 * alive).toBeLessThan(half * frames * mttr.nheads * rows ** 2);

  const own = weightBytes(['vid_embed_proj', 'transformer.encoder', 'transformer.decoder', 'obj_queries']);
  const heads = weightBytes(['spatial_decoder', 'instance_kernels_head', 'is_referred_head']);
  // Sine positions are stored: one row of features for each row and column.
  const positions = 4 * (h + w) * (mttr.d_model / 2);
  expect(report.engineBytes).toBeLessThan(own + heads + positions + code);
});

it('the text encoder fuses attention and sums in FP32', async () => {
  const shape = [8, 64];
  const report = await build('text-encoder', undefined, { input_ids: shape, attention_mask: shape });
  expectBudget(report, { fused: 12, kernels: 126, products: 49 });
});
