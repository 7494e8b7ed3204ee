import { describe, expect, it } from 'vitest';
import { stageGraph } from '../../../src/model/stages/index.js';
import { nearestIndices } from '../../../src/model/stages/spatial-decoder.js';
import { levelSizes } from '../../../src/model/stages/stage-options.js';
import { weightOffsets } from '../../../src/model/weight-layout.js';
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

  it('nearest rows follow the legacy rule in float32', () => {
    expect(nearestIndices(23, 45).slice(0, 6)).toEqual([0, 0, 1, 1, 2, 2]);
    expect(nearestIndices(3, 2)).toEqual([0, 1]);
    expect(Math.max(...nearestIndices(7, 1000))).toBe(6);
  });
});
