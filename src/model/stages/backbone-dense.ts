import type { Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import { type ClipSize, graphOptions, levelSizes, type StageOptions } from './stage-options.js';
import { type ClipLengths, clipLengths, denseWindowAttention } from './window-attention-dense.js';
import { type Triple, type WindowGrid, windowGrid } from './window-grid.js';

/**
 * Video Swin for TensorRT: B clips of up to `clip.frames` frames, tokens as [B, T, h, w, C] throughout.
 * `frames` [B, T, 3, h, w], `frame_count` int32 [B] → `level0..2` [B, T, C·2^i, h_i, w_i], `frames` and levels in the
 * graph's compute type: float16 in the FP16 form.
 * `clip.frames` is the temporal window (`short`: 1 … 8 frames a clip) or a multiple of it (`long`: more than one window,
 * 9 … 24 frames); results for the first `frame_count` frames equal those of a clip of just that length.
 */
export function denseBackboneGraph(options: StageOptions, clip: ClipSize): Uint8Array {
  const g = new Operators(graphOptions('backbone', options));
  const { swin } = options.architecture;
  const sizes = levelSizes(clip.height, clip.width, swin.depths.length);
  if (clip.frames % swin.window_size[0] !== 0)
    throw new RangeError(`frames of an engine are a multiple of ${swin.window_size[0]}`);
  const frames = g.input('frames', g.computeType, ['B', clip.frames, 3, clip.height, clip.width]);
  const lengths = clipLengths(g, g.input('frame_count', 'int32', ['B']), clip.frames);

  let x = patchEmbed(g, frames, sizes[0]!);
  swin.depths.forEach((depth, level) => {
    const size: Triple = [clip.frames, ...sizes[level]!];
    for (let j = 0; j < depth; j++) {
      const grid = windowGrid(size, swin.window_size, j % 2 === 1);
      x = block(g, x, grid, lengths, `backbone.layers.${level}.blocks.${j}`, swin.num_heads[level]!, swin.window_size);
    }
    g.output(`level${level}`, g.transpose(x, [0, 1, 4, 2, 3]));
    if (level + 1 < swin.depths.length) x = patchMerging(g, x, size, `backbone.downsamples.${level}`);
  });
  return g.build();
}

function patchEmbed(g: Operators, frames: Value, [h0, w0]: readonly [number, number]): Value {
  const t = frames.shape[1] as number;
  const padded = g.padEnd(frames, ['B', t, 3, 4 * h0, 4 * w0]);
  const cut = g.reshape(padded, [-1, 3, h0, 4, w0, 4], ['B*T', 3, h0, 4, w0, 4]);
  const patches = g.reshape(g.transpose(cut, [0, 2, 4, 1, 3, 5]), [-1, t, h0, w0, 48], ['B', t, h0, w0, 48]);
  return g.layerNorm(g.linear(patches, 'backbone.patch_embed.proj'), 'backbone.patch_embed.norm');
}

function block(
  g: Operators,
  x: Value,
  grid: WindowGrid,
  lengths: ClipLengths,
  name: string,
  heads: number,
  fullWindow: Triple,
): Value {
  const normed = g.layerNorm(x, `${name}.norm1`);
  // Where, not Mul: frames beyond the clip may have become NaN, and 0 · NaN is NaN.
  const zeroed = { ...g.where(lengths.present, normed, g.scalar(0)), shape: x.shape };
  const attended = denseWindowAttention(g, zeroed, grid, lengths, name, heads, fullWindow);
  const y = g.add(x, g.linear(attended, `${name}.attn.proj`));
  const hidden = g.gelu(g.linear(g.layerNorm(y, `${name}.norm2`), `${name}.mlp.fc1`));
  return g.add(y, g.linear(hidden, `${name}.mlp.fc2`));
}

/** [B, T, h, w, C] → [B, T, ⌈h/2⌉, ⌈w/2⌉, 2C]; column parity is the slower one among the four neighbours. */
function patchMerging(g: Operators, x: Value, [t, h, w]: Triple, name: string): Value {
  const width = x.shape[4] as number;
  const [h2, w2] = [Math.ceil(h / 2), Math.ceil(w / 2)];
  const padded = g.padEnd(x, ['B', t, 2 * h2, 2 * w2, width]);
  const cut = g.reshape(padded, [-1, h2, 2, w2, 2, width], ['B*T', h2, 2, w2, 2, width]);
  const neighbours = g.reshape(
    g.transpose(cut, [0, 1, 3, 4, 2, 5]),
    [-1, t, h2, w2, 4 * width],
    ['B', t, h2, w2, 4 * width],
  );
  return g.product(g.layerNorm(neighbours, `${name}.norm`), g.weight(`${name}.reduction.weight`));
}
