import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import type { TokenizedSentence } from '../backends/backend.js';
import { RvosError } from '../errors.js';
import { cleanSentence } from './clean.js';
import { readTokenizerFile, type TokenizerFile } from './tokenizer-file.js';

/** Longest token sequence RoBERTa's 514 positions allow, `<s>` and `</s>` included. */
export const defaultMaxTokens = 512;
/** A sentence longer than this is refused before it is tokenized: the densest text has more than 512 tokens by then. */
const maxCharacters = 100_000;

/**
 * GPT-2's split pattern with Unicode's White_Space as `\s`, which is what the tokenizers library uses in its original
 * language; JavaScript's `\s` has U+FEFF in addition and lacks U+0085.
 */
const space = '\\t-\\r\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000';
const splitPattern = new RegExp(
  `'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^${space}\\p{L}\\p{N}]+|[${space}]+(?![^${space}])|[${space}]+`,
  'gu',
);

/** A sentence on its way to the text encoder. */
export interface PreparedSentence extends TokenizedSentence {
  /** As the user wrote it. */
  readonly text: string;
  readonly cleaned: string;
  readonly tokens: readonly string[];
}

/** Byte-level BPE in RoBERTa's format: text → `<s>` ids… `</s>`. */
export class Tokenizer {
  readonly bosId: number;
  readonly eosId: number;
  readonly #library: LibraryTokenizer;

  private constructor(
    /** What a model folder stores as `tokenizer.json`. @internal */
    readonly file: TokenizerFile,
    readonly maxTokens: number,
  ) {
    this.#library = new LibraryTokenizer(file, {});
    const pre = this.#library.pre_tokenizer;
    // The class is not exported; its pattern is a public field.
    if (pre === null || !('pattern' in pre)) throw new TypeError('the tokenizer is not byte-level');
    pre.pattern = splitPattern;
    this.bosId = file.post_processor.cls[1];
    this.eosId = file.post_processor.sep[1];
  }

  /**
   * Opens a `tokenizer.json`, or a folder that holds one or else `vocab.json` and `merges.txt`.
   * Throws `RvosError` NOT_FOUND or BAD_MODEL_FOLDER.
   */
  static async open(path: string, options: { maxTokens?: number } = {}): Promise<Tokenizer> {
    return new Tokenizer(await readTokenizerFile(path), options.maxTokens ?? defaultMaxTokens);
  }

  /** Number of ids, added tokens included: one more than the largest id. */
  get vocabularySize(): number {
    let largest = -1;
    for (const id of Object.values(this.file.model.vocab)) largest = Math.max(largest, id);
    for (const { id } of this.file.added_tokens) largest = Math.max(largest, id);
    return largest + 1;
  }

  /**
   * Token ids of a text as it is (no clean-up), `<s>` and `</s>` included.
   * Throws `RvosError` BAD_SENTENCE if there are more than `maxTokens`.
   */
  encode(text: string): number[] {
    if (text.length > maxCharacters) {
      throw new RvosError(
        'BAD_SENTENCE',
        `the sentence "${excerpt(text)}" has ${text.length} characters`,
        `A sentence may have ${this.maxTokens} tokens: describe the object in fewer words.`,
      );
    }
    const ids = this.#library.encode(text).ids;
    if (ids.length > this.maxTokens) {
      throw new RvosError(
        'BAD_SENTENCE',
        `the sentence "${excerpt(text)}" has ${ids.length} tokens`,
        `A sentence may have ${this.maxTokens} tokens: describe the object in fewer words.`,
      );
    }
    return ids;
  }

  /** Cleans and tokenizes a sentence. Throws `RvosError` BAD_SENTENCE if it is empty or too long. */
  prepare(sentence: string): PreparedSentence {
    const cleaned = cleanSentence(sentence);
    if (cleaned === '') {
      throw new RvosError(
        'BAD_SENTENCE',
        'a sentence is empty',
        'Describe the object to segment, as in "the dog on the left".',
      );
    }
    const ids = this.encode(cleaned);
    return { text: sentence, cleaned, ids, tokens: this.tokens(ids) };
  }

  /** Token strings in the vocabulary's own spelling (`Ġ` for a space). */
  tokens(ids: readonly number[]): string[] {
    return ids.map((id) => this.#library.id_to_token(id) ?? `<${id}>`);
  }
}

function excerpt(text: string): string {
  const characters = Array.from(text.slice(0, 80));
  return characters.length > 40 ? `${characters.slice(0, 40).join('')}…` : text;
}
