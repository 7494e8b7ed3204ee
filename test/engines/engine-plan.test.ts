import { describe, expect, it } from 'vitest';
import {
  clipForms,
  defaultEngineLimits,
  engineGraph,
  engineLimits,
  planProfiles,
  planSize,
  planTextEncoder,
} from '../../src/engines/engine-plan.js';
import { openModelFolder } from '../../src/model/model-folder.js';

const model = await openModelFolder('compact');
const size = { height: 60, width: 108 };

describe('the engines a model needs', () => {
  it('are the text encoder, two backbones and one transformer for both clip lengths', () => {
    expect(planTextEncoder().name).toBe('text-encoder');
    expect(planSize(model, size).map(({ name, frames }) => [name, frames])).toEqual([
      ['backbone-short-60x108', [8]],
      ['backbone-long-60x108', [24]],
      ['transformer-60x108', [8, 24]],
    ]);
  });

  it.each([
    [1, { short: 8, long: 0 }],
    [8, { short: 8, long: 0 }],
    [9, { short: 8, long: 16 }],
    [24, { short: 8, long: 24 }],
    [25, { short: 8, long: 32 }],
  ])('have no long backbone unless windows of %i frames exceed the temporal window', (length, forms) => {
    const short = { ...{ architecture: model.architecture }, windows: { length, overlap: 0 } };
    expect(clipForms(short)).toEqual(forms);
    expect(planSize(short, size)).toHaveLength(forms.long > 0 ? 3 : 2);
  });

  it('have a profile for each number of windows, or of frames with ranges of windows, sentences and tokens', () => {
    const limits = { windows: 2, sentences: 5, tokens: 20 };
    const [short, , transformer] = planSize(model, size);
    const exactly = (shape: number[]) => ({ min: shape, opt: shape, max: shape });
    expect(planProfiles(model, short!, limits)).toEqual(
      [1, 2].map((windows) => ({ frames: exactly([windows, 8, 3, 60, 108]), frame_count: exactly([windows]) })),
    );
    const profiles = planProfiles(model, transformer!, limits);
    const c = model.architecture.swin.embed_dim;
    expect(profiles).toHaveLength(2);
    expect(profiles[1]).toMatchObject({
      level0: { min: [1, 24, c, 15, 27], max: [2, 24, c, 15, 27] },
      level2: { min: [1, 24, 4 * c, 4, 7], max: [2, 24, 4 * c, 4, 7] },
      text_features: { min: [1, 2, 128], opt: [4, 16, 128], max: [5, 20, 128] },
      window_index: { min: [1], opt: [4], max: [5] },
    });
    expect(planProfiles(model, planTextEncoder(), { ...limits, tokens: 7 })[0]!.input_ids).toEqual({
      min: [1, 2],
      opt: [1, 7],
      max: [5, 7],
    });
  });

  it('name every input of their graphs in every profile', () => {
    for (const planned of [planTextEncoder(), ...planSize(model, size)]) {
      const graph = Buffer.from(engineGraph(model, planned)).toString('latin1');
      for (const profile of planProfiles(model, planned, defaultEngineLimits)) {
        for (const input of Object.keys(profile)) expect(graph).toContain(input);
      }
    }
  });

  it.each([
    [{ tokens: 513 }, /513 tokens.*/],
    [{ windows: 0 }, /0 windows/],
    [{ sentences: 1.5 }, /1.5 sentences/],
  ])('refuse limits %o', (limits, message) => {
    expect(() => engineLimits(model, limits)).toThrowError(
      expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringMatching(message) }),
    );
  });

  it('refuse a size that is none', () => {
    expect(() => planSize(model, { height: 0, width: 5000 })).toThrowError(
      expect.objectContaining({ code: 'BAD_ARGUMENT' }),
    );
  });
});
