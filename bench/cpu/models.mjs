// The two networks of the benchmark: `compact`, as it ships, and one of the published size with random weights from a seed.
// Random weights alone give object queries whose scores are all alike and masks that are noise around the threshold, so that
// rounding decides; the heads' last layers are set so that one object query is meant and masks have an inside.
import { existsSync, readFileSync } from 'node:fs';
import { mkdtemp, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { InferenceSession, Tensor } from 'onnxruntime-node';
import { openModelFolder } from '../../dist/index.js';
import { root } from '../../scripts/run.mjs';
import { makePublishedSizeModel } from '../published-size-model.mjs';
import { rawClip } from './clips.mjs';
import { sentencesOf } from './workloads.mjs';

export const workFolder = join(root, 'build', 'bench');

/** Bring the version of this file in the name: a folder made by another one is not taken. */
const folder = join(workFolder, 'published-size-1');

export function compactModel() {
  return join(root, 'models', 'compact');
}

/** The folder of the network of the published size; made when it is first asked for. */
export async function fullModel(tell) {
  if (existsSync(folder)) return folder;
  tell('making a network of the published size with random weights …');
  const scratch = await mkdtemp(join(workFolder, 'partial-'));
  try {
    const plain = join(scratch, 'plain');
    await makePublishedSizeModel(plain);
    const adjust = await calibration(plain);
    await makePublishedSizeModel(join(scratch, 'model'), { adjust });
    await rename(join(scratch, 'model'), folder);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
  return folder;
}

/** How the values of some tensors change, by name: (value, index) → value. */
async function calibration(path) {
  const { scores, kernels, features, sentences } = await look(path);
  // Margins between the best two, as log-odds; the decision is put between them and spread.
  const odds = Array.from({ length: sentences }, (_, p) =>
    scores[p].map((s) => Math.log(s / (1 - s))).sort((a, b) => b - a),
  );
  const middle = mean(odds.map(([first, second]) => (first + second) / 2));
  const gap = Math.min(...odds.map(([first, second]) => first - second));
  const gain = 2 / Math.max(gap, 1e-3);

  let shift = 0;
  for (let next = 0.05; shift === 0; next *= 1.25) {
    const logits = maskLogits(kernels, features, next);
    const centre = mean(logits);
    const deviation = Math.sqrt(mean(logits.map((x) => (x - centre) ** 2)));
    if (Math.abs(centre) >= 0.75 * deviation || next > 1e3) shift = next;
  }
  const first = (value, i) => (i === 0 ? value + shift : value);
  return {
    'is_referred_head.weight': (value) => value * gain,
    'is_referred_head.bias': (value, i) => value * gain - (i === 0 ? gain * middle : 0),
    'instance_kernels_head.layers.1.bias': first,
    'spatial_decoder.out_lay.bias': first,
  };
}

/** Runs one short clip: referred scores of all object queries, kernels of the best and mask features. */
async function look(path) {
  const clip = { frames: 8, size: { height: 360, width: 640 } };
  const model = await openModelFolder(path);
  const tokenizer = await model.tokenizer();
  const texts = sentencesOf({ sentences: 4 }, 0).map((text) => tokenizer.prepare(text).ids);
  const raw = readFileSync(rawClip(workFolder, clip, 0, 0));
  const { mean: means, std } = model.preprocessing;
  const pixels = clip.size.height * clip.size.width;
  const frames = new Float32Array(clip.frames * 3 * pixels);
  for (let t = 0; t < clip.frames; t++)
    for (let i = 0; i < pixels; i++)
      for (let c = 0; c < 3; c++)
        frames[(t * 3 + c) * pixels + i] = (raw[(t * pixels + i) * 3 + c] / 255 - means[c]) / std[c];

  const size = { frames: clip.frames, ...clip.size };
  const backbone = await InferenceSession.create(await model.graphPath('backbone', size));
  const levels = await backbone.run({ frames: new Tensor('float32', frames, [1, clip.frames, 3, 360, 640]) });
  await backbone.release();
  const encoder = await InferenceSession.create(await model.graphPath('text-encoder'));
  const transformer = await InferenceSession.create(await model.graphPath('transformer', size));
  const scores = [];
  let last;
  for (const ids of texts) {
    const shape = [1, ids.length];
    const attention_mask = new Tensor('int64', new BigInt64Array(ids.length).fill(1n), shape);
    const input_ids = new Tensor('int64', BigInt64Array.from(ids, BigInt), shape);
    const { text_features } = await encoder.run({ input_ids, attention_mask });
    const frame_count = new Tensor('int32', [clip.frames], [1]);
    const window_index = new Tensor('int32', [0], [1]);
    last = await transformer.run({ ...levels, frame_count, text_features, attention_mask, window_index });
    scores.push([...last.referred_score.data]);
  }
  await Promise.all([encoder.release(), transformer.release()]);
  const kernelSize = last.mask_kernels.dims.at(-1);
  return {
    ...{ scores, sentences: texts.length },
    kernels: last.mask_kernels.data.slice(0, kernelSize), // of the first frame
    features: last.mask_features.data.slice(0, last.mask_features.data.length / clip.frames),
  };
}

/** Logits of a frame, `shift` added to the first kernel weight and the first feature. */
function maskLogits(kernels, features, shift) {
  const cells = features.length / kernels.length;
  return Array.from({ length: cells }, (_, i) => {
    let sum = 0;
    kernels.forEach((weight, c) => {
      const extra = c === 0 ? shift : 0;
      sum += (weight + extra) * (features[c * cells + i] + extra);
    });
    return sum;
  });
}

function mean(values) {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
