import type { ClipSize } from '../clip-size.js';
import type { Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import { runtimeZero } from './relative-position-bias.js';
import { graphOptions, levelSizes, type StageOptions } from './stage-options.js';
import { planWindows, type WindowPlan, windowAttention } from './window-attention-chunked.js';
import { type Triple, windowGrid } from './window-grid.js';

/** Rows that a feed-forward network takes at once: its hidden layer then stays in the cache. */
const chunkRows = 4096;

/**
 * Video Swin (MTTR §3.1; model-spec §2) for one clip of exactly `clip.frames` frames:
 * `frames` float [1, T, 3, h, w] → `level0..2` float [1, T, C·2^i, h_i, w_i].
 * Between blocks the tokens [T·h·w, C] (channels last) stand in chunks of rows and are never one tensor.
 */
export function backboneGraph(options: StageOptions, clip: ClipSize): Uint8Array {
  const g = new Operators(graphOptions('backbone', options));
  const { swin } = options.architecture;
  const sizes = levelSizes(clip.height, clip.width, swin.depths.length);
  const frames = g.input('frames', 'float', [1, clip.frames, 3, clip.height, clip.width]);

  const zero = runtimeZero(g, frames);

  let tokens = patchEmbed(g, frames, sizes[0]!);
  swin.depths.forEach((depth, level) => {
    const size: Triple = [clip.frames, ...sizes[level]!];
    const plans = [false, true].map((shifted) => planWindows(g, windowGrid(size, swin.window_size, shifted), zero));
    let rows = splitRows(g, tokens);
    for (let j = 0; j < depth; j++) {
      rows = block(
        g,
        rows,
        plans[j % 2]!,
        `backbone.layers.${level}.blocks.${j}`,
        swin.num_heads[level]!,
        swin.window_size,
      );
    }
    tokens = g.concat(rows, 0);
    g.output(`level${level}`, channelsFirst(g, tokens, size));
    if (level + 1 < swin.depths.length) tokens = patchMerging(g, tokens, size, `backbone.downsamples.${level}`);
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

/** x + attention, then x + feed-forward, chunk by chunk of rows. */
function block(
  g: Operators,
  rows: Value[],
  plan: WindowPlan,
  name: string,
  heads: number,
  fullWindow: Triple,
): Value[] {
  const width = rows[0]!.shape[1] as number;
  const zeros = g.constant('float', new Array(width).fill(0), [1, width]);
  const normed = g.concat([...rows.map((x) => g.layerNorm(x, `${name}.norm1`)), zeros], 0);
  const attended = windowAttention(g, normed, plan, name, heads, fullWindow);
  let start = 0;
  return rows.map((x) => {
    const end = start + (x.shape[0] as number);
    const own = g.gather(attended, g.slice(plan.back, 0, start, end), 0);
    start = end;
    const y = g.add(x, g.linear(own, `${name}.attn.proj`));
    const hidden = g.gelu(g.linear(g.layerNorm(y, `${name}.norm2`), `${name}.mlp.fc1`));
    return g.add(y, g.linear(hidden, `${name}.mlp.fc2`));
  });
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
  const odd = h % 2 === 1 || w % 2 === 1;
  const source = odd ? g.concat([tokens, g.constant('float', new Array(width).fill(0), [1, width])], 0) : tokens;
  const neighbours = g.gather(source, g.reshape(index, [t * h2 * w2 * 4]), 0);
  const merged = g.layerNorm(g.reshape(neighbours, [t * h2 * w2, 4 * width]), `${name}.norm`);
  return g.product(merged, g.weight(`${name}.reduction.weight`));
}

function splitRows(g: Operators, tokens: Value): Value[] {
  const total = tokens.shape[0] as number;
  const count = Math.ceil(total / chunkRows);
  const size = Math.ceil(total / count);
  return g.split(
    tokens,
    0,
    Array.from({ length: count }, (_, i) => Math.min(size, total - i * size)),
  );
}

function channelsFirst(g: Operators, tokens: Value, [t, h, w]: Triple): Value {
  const width = tokens.shape[1] as number;
  const x = g.transpose(g.reshape(tokens, [t, h * w, width]), [0, 2, 1]);
  return g.reshape(x, [1, t, width, h, w]);
}
