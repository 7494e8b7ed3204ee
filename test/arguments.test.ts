import { describe, expect, it } from 'vitest';
import { argument, checkOptions } from '../src/arguments.js';
import { Segmenter, type SegmenterOptions } from '../src/segmenter.js';
import { FakeBackend, fakeModel, syntheticFrames } from './support/fake-backend.js';

const segmenter = async () => Segmenter.around(await fakeModel(), new FakeBackend());
/** What somebody without TypeScript may pass. */
const untyped = <T>(value: unknown): T => value as T;

describe('an argument that cannot be taken', () => {
  it.each([
    [{ minScore: 2 }, { argument: 'option minScore of a run', expected: 'a number from 0 to 1', received: '2' }],
    [{ minScore: '0.5' }, { argument: 'option minScore of a run', received: '"0.5"' }],
    [{ tail: 'last' }, { expected: 'one of "published", "anchored"', received: '"last"' }],
    [{ shortSide: 1.5 }, { argument: 'option shortSide of a run', received: '1.5' }],
    [{ onProgress: {} }, { expected: 'a function', received: 'an object (Object)' }],
    [{ signal: new AbortController() }, { expected: 'an AbortSignal', received: 'an object (AbortController)' }],
    [{ minscore: 0.5 }, { received: 'unknown', hint: 'Did you mean minScore?' }],
    [{ linkWindow: true }, { hint: 'Did you mean linkWindows?' }],
    [{ wholly: 1 }, { hint: expect.stringMatching(/^It takes signal, onProgress, /) }],
    [null, { argument: 'the options of a run', expected: 'an object', received: 'null' }],
    [[], { received: 'an array' }],
  ])('%j is told by name, what was expected and what came', async (options, told) => {
    const open = await segmenter();
    const error = { name: 'RvosError', code: 'BAD_ARGUMENT', ...told };
    expect(() => open.stream('clip.mp4', 'a ball', untyped(options))).toThrow(expect.objectContaining(error));
    await expect(open.segment('clip.mp4', 'a ball', untyped(options))).rejects.toMatchObject(error);
    expect(() => open.segmentFrames(syntheticFrames(1), 'a ball', untyped(options))).toThrow(
      expect.objectContaining(error),
    );
  });

  it.each([[[1]], [undefined], [{}], [[['a']]]])('%j is no sentence', async (sentences) => {
    const open = await segmenter();
    expect(() => open.stream('clip.mp4', untyped(sentences))).toThrow(
      expect.objectContaining({ code: 'BAD_ARGUMENT', argument: 'sentences' }),
    );
  });

  it.each([
    [{ modell: 'compact' }, 'Did you mean model?'],
    [{ threads: 0 }, 'Give a whole number from 1 to 1024.'],
    [{ backend: 'cuda' }, expect.stringContaining('"onnxruntime"')],
    [{ model: '' }, 'Give a text that is not empty.'],
  ])('%j cannot open a segmenter', async (options, hint) => {
    await expect(Segmenter.open(untyped<SegmenterOptions>(options))).rejects.toMatchObject({
      code: 'BAD_ARGUMENT',
      hint,
    });
  });

  it('is none of what an object inherits', () => {
    expect(() => checkOptions('x', { toString: 1 }, { text: argument.text })).toThrow(
      'option toString of x is unknown',
    );
  });
});

it('a sentence may stand without an array, and undefined options are left out', async () => {
  const stream = (await segmenter()).segmentFrames(syntheticFrames(2), 'a ball', { minScore: undefined });
  for await (const { masks } of stream) expect(masks).toHaveLength(1);
  expect(stream.sentences).toEqual(['a ball']);
});
