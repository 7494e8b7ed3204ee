import { InferenceSession } from 'onnxruntime-node';
import { describe, expect, it } from 'vitest';
import { Operators } from '../../../src/model/onnx/operators.js';
import { stageGraph } from '../../../src/model/stages/index.js';
import { nearestIndices, upsampleNearest } from '../../../src/model/stages/spatial-decoder.js';
import { levelSizes } from '../../../src/model/stages/stage-options.js';
import { weightOffsets } from '../../../src/model/weight-layout.js';
import { floats } from '../../support/graph-session.js';
import { publishedArchitecture } from '../../support/random-checkpoint.js';

const architecture = publishedArchitecture;
const clip = { frames: 24, height: 360, width: 640 };

describe('graphs of the published network', () => {
  const variants = (['onnxruntime', 'tensorrt'] as const).flatMap((target) =>
    (['backbone', 'text-encoder', 'transformer'] as const).map((stage) => ({ target, stage })),
  );

  it.each(variants)('$stage for $target: the same bytes every time, small, nothing baked in', ({ target, stage }) => {
    const options = { architecture, target, stored: 'fp32', clip } as const;
    const bytes = stageGraph(stage, options);
    expect(Buffer.compare(bytes, stageGraph(stage, options))).toBe(0);
    // One index table of a block would be 1.2 MB, one mask per window hundreds.
    expect(bytes.length).toBeLessThan(1_000_000);
  });

  it('weights.bin has the published number of parameters', () => {
    const { entries } = weightOffsets(architecture, 'fp32');
    const parameters = [...entries.values()].reduce((sum, { length }) => sum + length / 4, 0);
    // 146.5 M in all (model-spec §0).
    expect(Math.round(parameters / 1e5)).toBe(1465);
  });
});

describe('sizes', () => {
  it('levels halve and round up', () => {
    expect(levelSizes(360, 640)).toEqual([
      [90, 160],
      [45, 80],
      [23, 40],
    ]);
    expect(levelSizes(1, 5)).toEqual([
      [1, 2],
      [1, 1],
      [1, 1],
    ]);
  });

  it('whole ratios, which are left to the runtime, give the rows of the legacy rule', () => {
    // Feature levels halve and round up: a ratio is 1 or 2, or is not whole.
    for (let to = 1; to <= 2000; to++) {
      const from = Math.ceil(to / 2);
      if (to % from !== 0) continue;
      const ratio = to / from;
      expect(nearestIndices(from, to)).toEqual(Array.from({ length: to }, (_, i) => Math.floor(i / ratio)));
    }
  });

  it.each([
    [1, 1, 2, 2],
    [1, 2, 1, 4],
    [12, 20, 23, 40],
    [23, 40, 45, 80],
    [45, 80, 90, 160],
  ])('a map of %i×%i becomes %i×%i by that rule', async (h, w, height, width) => {
    const g = new Operators({ name: 'up', opset: 20, stored: 'fp32', compute: 'fp32', weights: new Map() });
    g.output('y', upsampleNearest(g, g.input('x', 'float', ['n', 1, h, w]), height, width));
    const session = await InferenceSession.create(g.build(), { logSeverityLevel: 3 });
    const map = Float32Array.from({ length: h * w }, (_, i) => i);
    const { y } = await session.run({ x: floats(map, [1, 1, h, w]) });
    const columns = nearestIndices(w, width);
    const expected = nearestIndices(h, height).flatMap((row) => columns.map((column) => row * w + column));
    expect(Array.from(y!.data as Float32Array)).toEqual(expected);
    await session.release();
  });

  it('nearest rows follow the legacy rule in float32', () => {
    expect(nearestIndices(23, 45).slice(0, 6)).toEqual([0, 0, 1, 1, 2, 2]);
    expect(nearestIndices(3, 2)).toEqual([0, 1]);
    expect(Math.max(...nearestIndices(7, 1000))).toBe(6);
  });
});
