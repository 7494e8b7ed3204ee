import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { RvosError } from '../errors.js';

/** Larger files are refused unread: RoBERTa's tokenizer.json has 1.4–3.6 MB. */
const maxFileBytes = 64 * 2 ** 20;

const addedToken = z.object({
  id: z.number().int().nonnegative(),
  content: z.string().min(1),
  single_word: z.boolean().default(false),
  lstrip: z.boolean().default(false),
  rstrip: z.boolean().default(false),
  normalized: z.boolean().default(true),
  special: z.boolean().default(false),
});

/**
 * The part of the tokenizers library's `tokenizer.json` that a RoBERTa tokenizer uses: byte-level BPE between `<s>` and
 * `</s>`. Other kinds of tokenizer are refused, and with them user-supplied regular expressions.
 */
export const tokenizerFileSchema = z.object({
  version: z.literal('1.0').default('1.0'),
  truncation: z.unknown().optional(),
  padding: z.unknown().optional(),
  added_tokens: z.array(addedToken).max(10_000),
  normalizer: z.null(),
  pre_tokenizer: z.object({
    type: z.literal('ByteLevel'),
    add_prefix_space: z.boolean().default(false),
    trim_offsets: z.boolean().default(true),
    use_regex: z.literal(true).default(true),
  }),
  post_processor: z.object({
    type: z.literal('RobertaProcessing'),
    sep: z.tuple([z.string(), z.number().int().nonnegative()]),
    cls: z.tuple([z.string(), z.number().int().nonnegative()]),
    trim_offsets: z.boolean().default(true),
    add_prefix_space: z.boolean().default(false),
  }),
  decoder: z.object({ type: z.literal('ByteLevel') }).loose(),
  model: z.object({
    type: z.literal('BPE').default('BPE'),
    dropout: z.null().default(null),
    unk_token: z.string().nullable().default(null),
    continuing_subword_prefix: z.literal('').nullable().default(''),
    end_of_word_suffix: z.literal('').nullable().default(''),
    fuse_unk: z.literal(false).default(false),
    byte_fallback: z.literal(false).default(false),
    ignore_merges: z.boolean().default(false),
    vocab: z.record(z.string(), z.number().int().nonnegative()),
    merges: z.array(z.union([z.string(), z.tuple([z.string(), z.string()])])),
  }),
});

export type TokenizerFile = z.infer<typeof tokenizerFileSchema>;

/**
 * Reads a tokenizer from a `tokenizer.json`, or from a folder that holds one or else `vocab.json` and `merges.txt`.
 * Throws `RvosError`: NOT_FOUND if there is none, BAD_MODEL_FOLDER if it is not a RoBERTa tokenizer.
 */
export async function readTokenizerFile(path: string): Promise<TokenizerFile> {
  if (!(await isDirectory(path))) return parseTokenizerFile(await readText(path), path);
  const whole = join(path, 'tokenizer.json');
  if (await exists(whole)) return parseTokenizerFile(await readText(whole), whole);
  const [vocab, merges] = [join(path, 'vocab.json'), join(path, 'merges.txt')];
  if ((await exists(vocab)) && (await exists(merges))) {
    return tokenizerFromVocabulary(await readText(vocab), await readText(merges), vocab);
  }
  throw new RvosError('NOT_FOUND', `no tokenizer in ${path}`, tokenizerRemedy);
}

/** True if the folder holds the files of a tokenizer. */
export async function hasTokenizer(folder: string): Promise<boolean> {
  if (await exists(join(folder, 'tokenizer.json'))) return true;
  return (await exists(join(folder, 'vocab.json'))) && (await exists(join(folder, 'merges.txt')));
}

export const tokenizerRemedy =
  'Give a folder with tokenizer.json, or with vocab.json and merges.txt, as --tokenizer DIR (for the published network: those of roberta-base).';

function parseTokenizerFile(text: string, path: string): TokenizerFile {
  const result = tokenizerFileSchema.safeParse(parseJson(text, path));
  if (!result.success) {
    const issue = result.error.issues[0];
    const where = issue && issue.path.length > 0 ? ` at ${issue.path.slice(0, 4).join('.').slice(0, 100)}` : '';
    throw badTokenizer(`${path} is not a RoBERTa tokenizer${where}: ${issue?.message ?? 'unknown form'}`);
  }
  return result.data;
}

/** RoBERTa's special tokens, by name: what the tokenizers library makes of `vocab.json` and `merges.txt`. */
const specialTokens = ['<s>', '<pad>', '</s>', '<unk>', '<mask>'] as const;

function tokenizerFromVocabulary(vocabText: string, mergesText: string, path: string): TokenizerFile {
  const vocab = z.record(z.string(), z.number().int().nonnegative()).safeParse(parseJson(vocabText, path));
  if (!vocab.success) throw badTokenizer(`${path} is not a vocabulary (token → id)`);
  const id = (token: string): number => {
    const found = Object.hasOwn(vocab.data, token) ? vocab.data[token] : undefined;
    if (found === undefined) throw badTokenizer(`${path} lacks the token ${token}`);
    return found;
  };
  const merges = mergesText
    .split(/\r?\n/)
    .filter((line, i) => line !== '' && !(i === 0 && line.startsWith('#version')));
  const pairs = merges.map((line, i): [string, string] => {
    const [left, right, ...more] = line.split(' ');
    if (!left || !right || more.length > 0) throw badTokenizer(`merges.txt beside ${path}: bad merge, number ${i + 1}`);
    return [left, right];
  });
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: specialTokens
      .map((content) => ({
        id: id(content),
        content,
        single_word: false,
        lstrip: content === '<mask>',
        rstrip: false,
        normalized: content !== '<mask>',
        special: true,
      }))
      .sort((a, b) => a.id - b.id),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: {
      type: 'RobertaProcessing',
      sep: ['</s>', id('</s>')],
      cls: ['<s>', id('<s>')],
      trim_offsets: true,
      add_prefix_space: false,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: '',
      end_of_word_suffix: '',
      fuse_unk: false,
      byte_fallback: false,
      ignore_merges: false,
      vocab: vocab.data,
      merges: pairs,
    },
  };
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new RvosError('BAD_MODEL_FOLDER', `${path} is not JSON`, 'Copy or download the file again.', { cause });
  }
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > maxFileBytes) throw badTokenizer(`${path} has ${size} bytes, more than a tokenizer may have`);
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (cause instanceof RvosError) throw cause;
    throw new RvosError('NOT_FOUND', `cannot read the tokenizer ${basename(path)} at ${path}`, tokenizerRemedy, {
      cause,
    });
  }
}

async function isDirectory(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() ?? false;
}

async function exists(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isFile() ?? false;
}

function badTokenizer(message: string): RvosError {
  return new RvosError('BAD_MODEL_FOLDER', message, 'A byte-level BPE tokenizer in RoBERTa format is needed.');
}
