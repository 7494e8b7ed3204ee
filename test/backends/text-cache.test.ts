import { expect, it, vi } from 'vitest';
import { TextCache } from '../../src/backends/text-cache.js';

const sentence = (...ids: number[]) => ({ text: ids.join('-'), ids });
const encoder = () =>
  vi.fn(async (all: readonly (readonly number[])[]) =>
    all.map((ids) => ({ tokens: ids.length, features: Float32Array.from(ids) })),
  );

it('encodes each sentence once and gives features in the order asked for', async () => {
  const cache = new TextCache();
  const encode = encoder();
  const [a, b, again] = await cache.features([sentence(0, 5, 2), sentence(0, 6, 7, 2), sentence(0, 5, 2)], encode);
  expect(again).toBe(a);
  expect(await cache.features([sentence(0, 6, 7, 2), sentence(0, 5, 2)], encode)).toEqual([b, a]);
  expect(encode.mock.calls).toEqual([
    [
      [
        [0, 5, 2],
        [0, 6, 7, 2],
      ],
    ],
  ]);
});

it('keeps the most recently used ones only', async () => {
  const cache = new TextCache(2);
  const encode = encoder();
  await cache.features([sentence(1), sentence(2)], encode);
  await cache.features([sentence(1)], encode);
  await cache.features([sentence(3)], encode);
  await cache.features([sentence(1), sentence(3)], encode);
  expect(encode).toHaveBeenCalledTimes(2);
  await cache.features([sentence(2)], encode);
  expect(encode).toHaveBeenCalledTimes(3);
});

it('keeps nothing of a call that fails', async () => {
  const cache = new TextCache();
  await expect(cache.features([sentence(1)], () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  const encode = encoder();
  await cache.features([sentence(1)], encode);
  expect(encode).toHaveBeenCalledTimes(1);
});
