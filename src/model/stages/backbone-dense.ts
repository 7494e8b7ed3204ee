import type { ClipSize } from '../clip-size.js';
import type { Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import { type DenseWindows, denseWindows } from './dense-windows.js';
import { graphOptions, levelSizes, type StageOptions } from './stage-options.js';
import { denseWindowAttention } from './window-attention-dense.js';
import { type Triple, windowGrid } from './window-grid.js';

/**
 * Video Swin for TensorRT: B clips of up to `clip.frames` frames.
 * `frames` [B, T, 3, h, w], `frame_count` int32 [B] → `level0..2` [B, T, C·2^i, h_i, w_i], `frames` and levels in the
 * graph's compute type: float16 in the FP16 form.
 * `clip.frames` is the temporal window (`short`: 1 … 8 frames a clip) or a multiple of it (`long`: more than one window,
 * 9 … 24 frames); results for the first `frame_count` frames equal those of a clip of just that length.
 *
 * Tokens stand in rows throughout, [B·T·h·w, C]: only of matrices does the compiler put bias, GELU and residual into the
 * product that comes before.
 */
export function denseBackboneGraph(options: StageOptions, clip: ClipSize): Uint8Array {
  const g = new Operators(graphOptions('backbone', options));
  const { swin } = options.architecture;
  const sizes = levelSizes(clip.height, clip.width, swin.depths.length);
  if (clip.frames % swin.window_size[0] !== 0)
    throw new RangeError(`frames of an engine are a multiple of ${swin.window_size[0]}`);
  const frames = g.input('frames', g.computeType, ['B', clip.frames, 3, clip.height, clip.width]);
  const frameCount = g.input('frame_count', 'int32', ['B']);

  let x = patchEmbed(g, frames, sizes[0]!);
  swin.depths.forEach((depth, level) => {
    const size: Triple = [clip.frames, ...sizes[level]!];
    const windows = [false, true].map((odd) => denseWindows(g, windowGrid(size, swin.window_size, odd), frameCount));
    for (let j = 0; j < depth; j++) {
      const name = `backbone.layers.${level}.blocks.${j}`;
      x = block(g, x, windows[j % 2]!, name, swin.num_heads[level]!, swin.window_size);
    }
    const width = x.shape[1] as number;
    const map = g.reshape(x, [-1, ...size, width], ['B', ...size, width]);
    g.output(`level${level}`, g.transpose(map, [0, 1, 4, 2, 3]));
    if (level + 1 < swin.depths.length) x = patchMerging(g, map, size, `backbone.downsamples.${level}`);
  });
  return g.build();
}

/** frames [B, T, 3, h, w] → tokens [B·T·h0·w0, C]: 4×4 patches, zero-padded right and bottom. */
function patchEmbed(g: Operators, frames: Value, [h0, w0]: readonly [number, number]): Value {
  const t = frames.shape[1] as number;
  const padded = g.padEnd(frames, ['B', t, 3, 4 * h0, 4 * w0]);
  const cut = g.reshape(padded, [-1, 3, h0, 4, w0, 4], ['B*T', 3, h0, 4, w0, 4]);
  const patches = g.reshape(g.transpose(cut, [0, 2, 4, 1, 3, 5]), [-1, 48], ['tokens', 48]);
  return g.layerNorm(g.linear(patches, 'backbone.patch_embed.proj'), 'backbone.patch_embed.norm');
}

function block(g: Operators, x: Value, windows: DenseWindows, name: string, heads: number, fullWindow: Triple): Value {
  const y = denseWindowAttention(g, x, windows, name, heads, fullWindow);
  const hidden = g.gelu(g.linear(g.layerNorm(y, `${name}.norm2`), `${name}.mlp.fc1`));
  return g.add(y, g.linear(hidden, `${name}.mlp.fc2`));
}

/** [B, T, h, w, C] → tokens [B·T·⌈h/2⌉·⌈w/2⌉, 2C]; column parity is the slower one among the four neighbours. */
function patchMerging(g: Operators, x: Value, [t, h, w]: Triple, name: string): Value {
  const width = x.shape[4] as number;
  const [h2, w2] = [Math.ceil(h / 2), Math.ceil(w / 2)];
  const padded = g.padEnd(x, ['B', t, 2 * h2, 2 * w2, width]);
  const cut = g.reshape(padded, [-1, h2, 2, w2, 2, width], ['B*T', h2, 2, w2, 2, width]);
  const neighbours = g.reshape(g.transpose(cut, [0, 1, 3, 4, 2, 5]), [-1, 4 * width], ['tokens', 4 * width]);
  return g.product(g.layerNorm(neighbours, `${name}.norm`), g.weight(`${name}.reduction.weight`));
}
