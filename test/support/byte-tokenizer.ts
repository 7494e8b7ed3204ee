import type { TokenizerFile } from '../../src/text/tokenizer-file.js';

/** A tokenizer without merges: special tokens as RoBERTa numbers them, then one token a byte. */
export function byteLevelTokenizer(): TokenizerFile {
  const special = ['<s>', '<pad>', '</s>', '<unk>'];
  // GPT-2's printable stand-ins: Latin-1's printable characters are themselves, the other bytes follow from U+0100 on.
  const printable = (byte: number) => (byte > 32 && byte < 127) || (byte > 160 && byte !== 173);
  let next = 256;
  const bytes = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
  return {
    version: '1.0',
    added_tokens: special.map((content, id) => ({
      id,
      content,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: true,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['</s>', 2],
      cls: ['<s>', 0],
      trim_offsets: true,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: Object.fromEntries([...special, ...bytes].map((token, id) => [token, id])),
      merges: [],
    },
  };
}
