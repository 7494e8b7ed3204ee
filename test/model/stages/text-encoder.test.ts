import { readdir } from 'node:fs/promises';
import { Tensor } from 'onnxruntime-node';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { worstError } from '../../support/compare.js';
import { openGoldenModel } from '../../support/golden-model.js';
import { dataOf, runGraph } from '../../support/graph-session.js';

let golden: Awaited<ReturnType<typeof openGoldenModel>>;
beforeAll(async () => {
  golden = await openGoldenModel();
});
afterAll(() => golden.remove());

it('engines count positions as the exact graph does, padding within and behind sentences left out', async () => {
  const { model } = golden;
  const { pad_token_id: pad, vocab_size: words } = model.architecture.roberta;
  const [sentences, tokens] = [3, 21];
  const ids = BigInt64Array.from({ length: sentences * tokens }, (_, i) => BigInt((i * 37) % words));
  const paddingAt = [[20], [0, 5, 6, 7, 18, 19, 20], Array.from({ length: 14 }, (_, i) => 7 + i)];
  const mask = new BigInt64Array(ids.length).fill(1n);
  paddingAt.forEach((places, p) => {
    for (const s of places) ids[p * tokens + s] = BigInt(pad);
  });
  // Only what stands behind a sentence is masked; `<pad>` as a word of it is not.
  for (let s = 7; s < tokens; s++) mask[2 * tokens + s] = 0n;
  const files = await readdir(model.path);
  const feeds = {
    input_ids: new Tensor('int64', ids, [sentences, tokens]),
    attention_mask: new Tensor('int64', mask, [sentences, tokens]),
  };
  const exact = dataOf(await runGraph(model, 'text-encoder', { target: 'onnxruntime' }, feeds), 'text_features');
  const engine = dataOf(await runGraph(model, 'text-encoder', { target: 'tensorrt' }, feeds), 'text_features');
  expect(worstError(exact, engine)).toBeLessThan(2e-5);
  // Graphs of tests leave nothing behind: the folder may be the product's own.
  expect(await readdir(model.path)).toEqual(files);
});
