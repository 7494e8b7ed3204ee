import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { dataSetSize, inputSize, networkSize } from '../../src/preprocess/size-rule.js';
import { goldenPath } from '../support/safetensors.js';

interface SizeCase {
  readonly h: number;
  readonly w: number;
  readonly short: number;
  readonly max: number;
  readonly dataset: [number, number];
  readonly torchvision: [number, number];
}
const goldens = JSON.parse(readFileSync(goldenPath('preproc.json'), 'utf8'));
const table: SizeCase[] = goldens.size_rules;

describe('size rules', () => {
  it('has a table to be held against', () => expect(table.length).toBeGreaterThan(10));

  it.each(table)('frames of $h×$w with $short/$max', ({ h, w, short, max, dataset, torchvision }) => {
    const frame = { height: h, width: w };
    const limits = { shortSide: short, longSide: max };
    expect(networkSize(frame, limits)).toEqual({ height: torchvision[0], width: torchvision[1] });
    expect(dataSetSize(frame, limits)).toEqual({ height: dataset[0], width: dataset[1] });
    expect(inputSize(frame, limits)).toEqual(networkSize(frame, limits));
    expect(inputSize(frame, { ...limits, sizeRule: 'data-set' })).toEqual(dataSetSize(frame, limits));
  });

  it.each(
    goldens.cases as {
      H: number;
      W: number;
      short: number;
      max: number;
      dataset_PIL_size: number[];
      modelscope_tensor_size: number[];
    }[],
  )('resized pictures of $H×$W with $short/$max', ({ H, W, short, max, dataset_PIL_size, modelscope_tensor_size }) => {
    const frame = { height: H, width: W };
    const limits = { shortSide: short, longSide: max };
    expect(Object.values(networkSize(frame, limits))).toEqual(modelscope_tensor_size);
    expect(Object.values(dataSetSize(frame, limits))).toEqual(dataset_PIL_size);
  });

  it('takes single pixels and 8K, upright and lying', () => {
    const limits = { shortSide: 360, longSide: 640 };
    expect(networkSize({ height: 1, width: 1 }, limits)).toEqual({ height: 360, width: 360 });
    expect(networkSize({ height: 4320, width: 7680 }, limits)).toEqual({ height: 360, width: 640 });
    expect(networkSize({ height: 7680, width: 4320 }, limits)).toEqual({ height: 640, width: 360 });
  });

  it('refuses shapes of which nothing would be left, and says so', () => {
    for (const rule of [networkSize, dataSetSize]) {
      expect(() => rule({ height: 1, width: 4000 }, { shortSide: 360, longSide: 640 })).toThrow(
        expect.objectContaining({ code: 'BAD_FRAME_SIZE', message: expect.stringContaining('4000x1') }),
      );
    }
  });

  it.each([
    [0, 640],
    [360, 360],
    [360, 5000],
    [36.5, 640],
    [Number.NaN, 640],
  ])('refuses the limits %d/%d', (shortSide, longSide) => {
    expect(() => networkSize({ height: 10, width: 10 }, { shortSide, longSide })).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  });
});
