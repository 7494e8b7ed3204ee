import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tokenBatch } from '../../src/text/token-batch.js';
import { Tokenizer } from '../../src/text/tokenizer.js';

interface Golden {
  vocab_size: number;
  rows: { text: string; ids: number[]; tokens: string[]; cleaned: string; cleaned_ids: number[] }[];
  batch: { texts: string[]; input_ids: number[][]; attention_mask: number[][] };
}

const goldens = fileURLToPath(new URL('../goldens/', import.meta.url));
const golden: Golden = JSON.parse(await readFile(join(goldens, 'tokenizer_golden.json'), 'utf8'));
const folder = join(goldens, 'tokenizer');
const fromJson = await Tokenizer.open(join(folder, 'tokenizer.json'));

let scratch: string;
beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'rvos-tokenizer-'));
});
afterAll(async () => {
  await rm(scratch, { recursive: true });
});

async function vocabularyFolder(): Promise<string> {
  for (const name of ['vocab.json', 'merges.txt']) {
    await writeFile(join(scratch, name), await readFile(join(folder, name)));
  }
  return scratch;
}

describe('Tokenizer', () => {
  it.each(golden.rows)('gives the reference ids for $text', ({ text, ids, tokens, cleaned, cleaned_ids }) => {
    expect(fromJson.encode(text)).toEqual(ids);
    expect(fromJson.tokens(ids)).toEqual(tokens);
    expect(fromJson.encode(cleaned)).toEqual(cleaned_ids);
  });

  it('reads vocab.json and merges.txt to the very same tokenizer', async () => {
    const fromVocabulary = await Tokenizer.open(await vocabularyFolder());
    expect(fromVocabulary.file).toEqual(JSON.parse(await readFile(join(folder, 'tokenizer.json'), 'utf8')));
    for (const { text, ids } of golden.rows) expect(fromVocabulary.encode(text)).toEqual(ids);
    expect(fromVocabulary.vocabularySize).toBe(golden.vocab_size);
  });

  // Expected ids come from the tokenizers library (0.23) in Python with the same tokenizer.json.
  it.each<[string, number[]]>([
    ['a \ufeff,b', [0, 68, 224, 175, 123, 127, 15, 69, 2]],
    ['\ufeff\ufeffthe dog', [0, 175, 123, 127, 175, 123, 127, 272, 589, 2]],
    ['the\ufeffdog \ufeff', [0, 272, 175, 123, 127, 71, 553, 224, 175, 123, 127, 2]],
    ['a \u0085 b', [0, 68, 224, 130, 231, 267, 2]],
    ['a\u0085\u0085b', [0, 68, 130, 231, 130, 231, 69, 2]],
    ['x \u001c\u001d y', [0, 91, 224, 220, 221, 363, 2]],
    ['red \u3000 \u2028cat', [0, 285, 71, 224, 163, 226, 226, 224, 162, 226, 105, 70, 280, 2]],
    ['x\u180e y', [0, 91, 161, 258, 240, 363, 2]],
    ['!\ufeff!\u0085!', [0, 4, 175, 123, 127, 4, 130, 231, 4, 2]],
  ])('splits %j at the white space of the original library', (text, ids) => {
    expect(fromJson.encode(text)).toEqual(ids);
  });

  it('prepares a sentence: cleaned, ids and tokens', () => {
    expect(fromJson.prepare('  The  DOG ')).toEqual({
      text: '  The  DOG ',
      cleaned: 'the dog',
      ids: [0, 272, 589, 2],
      tokens: ['<s>', 'the', 'Ġdog', '</s>'],
    });
  });

  it('accepts 512 tokens and names the number beyond', () => {
    expect(fromJson.prepare('a'.concat(' a'.repeat(509))).ids).toHaveLength(512);
    expect(() => fromJson.prepare('a'.concat(' a'.repeat(510)))).toThrow(
      expect.objectContaining({ code: 'BAD_SENTENCE', message: expect.stringContaining('513 tokens') }),
    );
  });

  it.each(['', ' ', '\x1c\x85\n'])('refuses the empty sentence %j', (sentence) => {
    expect(() => fromJson.prepare(sentence)).toThrow(expect.objectContaining({ code: 'BAD_SENTENCE' }));
  });

  it.each([10_000, 100_000, 2_000_000])('refuses a sentence of %d characters at once', (length) => {
    const start = performance.now();
    expect(() => fromJson.prepare('x'.repeat(length))).toThrow(expect.objectContaining({ code: 'BAD_SENTENCE' }));
    expect(performance.now() - start).toBeLessThan(2000);
  });

  it.each<[string, string]>([
    ['not JSON', '{'],
    ['another kind of tokenizer', '{"model":{"type":"WordPiece"}}'],
    ['a number', '3'],
  ])('refuses a file that is %s', async (_what, text) => {
    const path = join(scratch, 'tokenizer.json');
    await writeFile(path, text);
    await expect(Tokenizer.open(path)).rejects.toMatchObject({ code: 'BAD_MODEL_FOLDER' });
    await rm(path);
  });

  it('says what is missing where there is no tokenizer', async () => {
    await expect(Tokenizer.open(join(scratch, 'absent'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      hint: expect.stringContaining('--tokenizer'),
    });
  });
});

describe('tokenBatch', () => {
  it('pads as the reference does', () => {
    const { texts, input_ids, attention_mask } = golden.batch;
    const batch = tokenBatch(texts.map((text) => fromJson.encode(text)));
    expect([batch.sentences, batch.length]).toEqual([input_ids.length, input_ids[0]!.length]);
    expect(Array.from(batch.inputIds, Number)).toEqual(input_ids.flat());
    expect(Array.from(batch.attentionMask, Number)).toEqual(attention_mask.flat());
  });
});
