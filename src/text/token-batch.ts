/** The text encoder's inputs: sentences padded to the longest. */
export interface TokenBatch {
  /** P */
  readonly sentences: number;
  /** S: tokens of the longest sentence. */
  readonly length: number;
  /** int64 [P, S] */
  readonly inputIds: BigInt64Array;
  /** int64 [P, S]; 1 = token, 0 = padding. */
  readonly attentionMask: BigInt64Array;
}

/** Pads token ids at the end to the longest sentence, as the published tokenizer does (`padding='longest'`). */
export function tokenBatch(sentences: readonly (readonly number[])[], padId = 1): TokenBatch {
  const length = sentences.reduce((longest, ids) => Math.max(longest, ids.length), 0);
  const inputIds = new BigInt64Array(sentences.length * length).fill(BigInt(padId));
  const attentionMask = new BigInt64Array(sentences.length * length);
  sentences.forEach((ids, p) => {
    ids.forEach((id, s) => {
      inputIds[p * length + s] = BigInt(id);
      attentionMask[p * length + s] = 1n;
    });
  });
  return { sentences: sentences.length, length, inputIds, attentionMask };
}
