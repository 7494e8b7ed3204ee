import type { Value } from '../onnx/graph-builder.js';
import type { Operators } from '../onnx/operators.js';
import type { Target } from '../target.js';

const round = Math.fround;

/** Rows that legacy nearest-neighbour scaling reads: floor(dst · float32(in / out)), at most in − 1. */
export function nearestIndices(from: number, to: number): number[] {
  const scale = round(from / to);
  return Array.from({ length: to }, (_, i) => Math.min(Math.floor(round(i * scale)), from - 1));
}

/** x [n, c, h, w] → [n, c, height, width]. */
export function upsampleNearest(g: Operators, x: Value, height: number, width: number): Value {
  const [n, c, h, w] = x.shape as [string, number, number, number];
  if (height % h === 0 && width % w === 0) {
    // Every runtime agrees on whole ratios, and has one node for them.
    const scales = g.constant('float', [1, 1, height / h, width / w]);
    return g.node('Resize', [x, undefined, scales], x.type, [n, c, height, width], {
      mode: 'nearest',
      coordinate_transformation_mode: 'asymmetric',
      nearest_mode: 'floor',
    });
  }
  const rows = g.constant('int32', nearestIndices(h, height));
  const columns = g.constant('int32', nearestIndices(w, width));
  return g.gather(g.gather(x, rows, 2), columns, 3);
}

/**
 * FPN (model-spec §6): memory [n, D, h2, w2] with the adapted levels 1 [n, D/2, h1, w1] and 0 [n, D/4, h0, w0]
 * → mask features [n, K, h0, w0].
 */
export function spatialDecoder(g: Operators, target: Target, memory: Value, adapted1: Value, adapted0: Value): Value {
  const root = 'spatial_decoder';
  const norm = (x: Value, name: string) =>
    target === 'tensorrt' ? g.groupNormAsAffine(x, name) : g.groupNorm(x, name);
  const layer = (x: Value, i: number) => g.relu(norm(g.conv(x, `${root}.lay${i}`, 1), `${root}.gn${i}`));
  const up = (x: Value, skip: Value) =>
    g.add(upsampleNearest(g, x, skip.shape[2] as number, skip.shape[3] as number), skip);
  let x = layer(layer(memory, 1), 2);
  x = layer(up(x, adapted1), 3);
  x = layer(up(x, adapted0), 4);
  return g.conv(x, `${root}.out_lay`, 1);
}
