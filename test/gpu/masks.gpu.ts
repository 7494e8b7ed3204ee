import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { CpuBackend } from '../../src/backends/cpu/cpu-backend.js';
import type { TensorRtBackend } from '../../src/backends/tensorrt.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import type { SegmentedFrame, WindowScore } from '../../src/results/segmented-frame.js';
import type { RunOptions } from '../../src/segment-options.js';
import { Segmenter } from '../../src/segmenter.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { recordFigure } from '../support/figures.js';
import { overlap } from '../support/mask-overlap.js';
import { goldenPath } from '../support/safetensors.js';
import { clipFrames } from './clips.js';
import { type Gpu, openBackend, openGpu } from './gpu.js';
import { openCompact, openGolden, videoRule } from './models.js';

let gpu: Gpu;
beforeAll(async () => {
  gpu = await openGpu();
});

const demo = new URL('../../examples/demo.mp4', import.meta.url).pathname;
const demoSentences: string[] = JSON.parse(
  readFileSync(new URL('../../examples/demo.json', import.meta.url), 'utf8'),
).sentences;
const goldenClip = goldenPath('e2e/clip_rgb_lossless.mp4');
const clipSentences: string[] = JSON.parse(readFileSync(goldenPath('e2e/e2e.json'), 'utf8')).queries;

describe.each([
  ['golden', openGolden, goldenClip, clipSentences, videoRule],
  ['compact', openCompact, demo, demoSentences, {}],
] as const)('the %s model', (name, openModel, video, sentences, rule) => {
  let model: ModelFolder;
  let clip: RgbFrame[];
  let fast: TensorRtBackend;
  let exact: CpuBackend;
  beforeAll(async () => {
    model = await openModel();
    clip = await clipFrames(video);
    fast = openBackend(gpu, model);
    exact = new CpuBackend({ runtime: 'onnxruntime', model });
  });
  afterAll(async () => {
    await fast.dispose();
    await exact.dispose();
  });

  async function run(backend: TensorRtBackend | CpuBackend, options: RunOptions = {}) {
    const stream = Segmenter.around(model, backend).segmentFrames(clip, sentences, { ...rule, ...options });
    const frames: SegmentedFrame[] = [];
    for await (const frame of stream) frames.push(frame);
    const windows: WindowScore[][] = stream.summary().queries.map((query) => [...query.windows]);
    return { frames, windows };
  }

  it.each<[string, RunOptions]>([
    ['as published', {}],
    ['with an anchored tail', { tail: 'anchored' }],
    ['linked', { linkWindows: true }],
    ['with a minimum score', { minScore: 0.5 }],
    ['without antialias', { antialias: false }],
  ])('gives the masks of FP32, %s', async (what, options) => {
    const found = await run(fast, options);
    const expected = await run(exact, options);
    expect(found.windows.map((list) => list.map(({ objectQuery }) => objectQuery))).toEqual(
      expected.windows.map((list) => list.map(({ objectQuery }) => objectQuery)),
    );
    for (const sentence of sentences.keys()) {
      const iou = overlap(
        found.frames.map(({ masks }) => masks[sentence]!),
        expected.frames.map(({ masks }) => masks[sentence]!),
      );
      recordFigure('masks on the GPU against FP32, IoU', `${name} ${what} sentence ${sentence}`, iou);
      expect(iou).toBeGreaterThanOrEqual(0.99);
    }
  });
});
