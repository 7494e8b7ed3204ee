import type { ClipSize } from '../clip-size.js';
import type { Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import { graphOptions, levelSizes, type StageOptions } from './stage-options.js';
import { boxedWindowAttention, boxedWindows, clipLength, type Sharing } from './window-attention-boxed.js';
import { type Triple, windowGrid } from './window-grid.js';

/** Rows that a feed-forward network takes at once: its hidden layer then stays near the processor. */
const chunkRows = 16384;

/**
 * Video Swin for OpenVINO, one clip of up to `clip.frames` frames: `frames` float [1, T, 3, h, w], `frame_count` int32
 * [1] → `level0..2` float [1, T, h_i·w_i, C·2^i], channels last: what reads them wants rows of pixels.
 * `clip.frames` is a multiple of the temporal window; results for the first `frame_count` frames equal those of a clip
 * of just that length, so that the short window at the end of a video runs on the graph that is there.
 *
 * Tokens stand in rows throughout, [T·h·w, C]. An index outside of a table's range reads as zeros in OpenVINO: that is
 * the padding, and it is why this graph is for OpenVINO alone (ONNX forbids such an index).
 */
export function boxedBackboneGraph(options: StageOptions, clip: ClipSize): Uint8Array {
  const g = new Operators(graphOptions('backbone', options));
  const { swin } = options.architecture;
  if (clip.frames % swin.window_size[0] !== 0)
    throw new RangeError(`frames of a graph for OpenVINO are a multiple of ${swin.window_size[0]}`);
  const sizes = levelSizes(clip.height, clip.width, swin.depths.length);
  const frames = g.input('frames', 'float', [1, clip.frames, 3, clip.height, clip.width]);
  const length = clipLength(g, g.input('frame_count', 'int32', [1]), swin.window_size[0]);
  const sharing: Sharing = new Map();

  let x = patchEmbed(g, frames, sizes[0]!);
  swin.depths.forEach((depth, level) => {
    const size: Triple = [clip.frames, ...sizes[level]!];
    const heads = swin.num_heads[level]!;
    const windows = [false, true].map((odd) =>
      boxedWindows(g, windowGrid(size, swin.window_size, odd), heads, length, sharing),
    );
    for (let j = 0; j < depth; j++) {
      const name = `backbone.layers.${level}.blocks.${j}`;
      const y = boxedWindowAttention(g, x, windows[j % 2]!, name, heads, swin.window_size);
      x = feedForward(g, y, name);
    }
    const width = x.shape[1] as number;
    g.output(`level${level}`, g.reshape(x, [1, clip.frames, size[1] * size[2], width]));
    if (level + 1 < swin.depths.length) x = patchMerging(g, x, size, `backbone.downsamples.${level}`);
  });
  return g.build();
}

/** frames [1, T, 3, h, w] → tokens [T·h0·w0, C]: 4×4 patches, zero-padded right and bottom, one matrix product, LayerNorm. */
function patchEmbed(g: Operators, frames: Value, [h0, w0]: readonly [number, number]): Value {
  const t = frames.shape[1] as number;
  const padded = g.padEnd(frames, [1, t, 3, 4 * h0, 4 * w0]);
  const patches = g.transpose(g.reshape(padded, [t, 3, h0, 4, w0, 4]), [0, 2, 4, 1, 3, 5]);
  const x = g.linear(g.reshape(patches, [t * h0 * w0, 48]), 'backbone.patch_embed.proj');
  return g.layerNorm(x, 'backbone.patch_embed.norm');
}

/** x + feed-forward of x, piece by piece of rows. */
function feedForward(g: Operators, x: Value, name: string): Value {
  const total = x.shape[0] as number;
  const size = Math.ceil(total / Math.ceil(total / chunkRows));
  const sizes = Array.from({ length: Math.ceil(total / size) }, (_, i) => Math.min(size, total - i * size));
  const pieces = g.split(x, 0, sizes).map((rows) => {
    const hidden = g.gelu(g.linear(g.layerNorm(rows, `${name}.norm2`), `${name}.mlp.fc1`));
    return g.add(rows, g.linear(hidden, `${name}.mlp.fc2`));
  });
  return g.concat(pieces, 0);
}

/** tokens of [T, h, w] → tokens of [T, ⌈h/2⌉, ⌈w/2⌉] of double width; 2×2 neighbours by one Gather, zeros beyond the edge. */
function patchMerging(g: Operators, tokens: Value, [t, h, w]: Triple, name: string): Value {
  const width = tokens.shape[1] as number;
  const [h2, w2] = [Math.ceil(h / 2), Math.ceil(w / 2)];
  const outside = t * h * w;
  const axis = (n: number, half: number, stride: number) =>
    Array.from({ length: 2 * half }, (_, i) => (i < n ? i * stride : outside));
  // Neighbours in the order (even row, even column), (odd, even), (even, odd), (odd, odd): column parity is the slower axis.
  const frame = g.constant(
    'int32',
    Array.from({ length: t }, (_, i) => i * h * w),
    [t, 1, 1, 1, 1],
  );
  const row = g.constant('int32', axis(h, h2, w), [1, h2, 1, 1, 2]);
  const column = g.constant('int32', axis(w, w2, 1), [1, 1, w2, 2, 1]);
  const index = g.min(g.add(g.add(frame, row), column), g.scalar(outside, 'int32'));
  const neighbours = g.gather(tokens, g.reshape(index, [t * h2 * w2 * 4]), 0);
  const merged = g.layerNorm(g.reshape(neighbours, [t * h2 * w2, 4 * width]), `${name}.norm`);
  return g.product(merged, g.weight(`${name}.reduction.weight`));
}
