import type { TextFeatures, TokenizedSentence } from './backend.js';

/** Sentences whose text features are kept. */
const cachedSentences = 256;

/** Text features by token ids, the most recently used ones: a sentence is encoded once, however often it is asked for. */
export class TextCache {
  /** Least recently used first. */
  readonly #texts = new Map<string, TextFeatures>();

  constructor(private readonly capacity = cachedSentences) {}

  /** Features in the order of the sentences; `encode` gets the token ids of those that are not here, each once. */
  async features(
    sentences: readonly TokenizedSentence[],
    encode: (ids: readonly (readonly number[])[]) => Promise<readonly TextFeatures[]>,
  ): Promise<TextFeatures[]> {
    const keys = sentences.map(({ ids }) => ids.join(' '));
    const texts = new Map<string, TextFeatures>();
    for (const key of keys) {
      const cached = this.#texts.get(key);
      if (cached) texts.set(key, cached);
    }
    const missing = [...new Set(keys)].filter((key) => !texts.has(key));
    if (missing.length > 0) {
      const encoded = await encode(missing.map((key) => sentences[keys.indexOf(key)]!.ids));
      missing.forEach((key, i) => {
        texts.set(key, encoded[i]!);
      });
    }
    for (const [key, text] of texts) {
      this.#texts.delete(key);
      this.#texts.set(key, text);
      if (this.#texts.size > this.capacity) this.#texts.delete(this.#texts.keys().next().value as string);
    }
    return keys.map((key) => texts.get(key)!);
  }
}
