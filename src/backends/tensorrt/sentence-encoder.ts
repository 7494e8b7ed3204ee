import { RvosError } from '../../errors.js';
import type { ModelFolder } from '../../model/model-folder.js';
import type { NativeTextEncoder, TensorRtAddon } from '../../native/tensorrt-addon.js';
import { toRvosError } from '../../native/tensorrt-errors.js';
import { tokenBatch } from '../../text/token-batch.js';
import type { TextFeatures } from '../backend.js';
import type { EngineSource } from './engine-source.js';

export interface SentenceEncoderOptions {
  readonly addon: Pick<TensorRtAddon, 'openTextEncoder'>;
  readonly device: number;
  readonly model: Pick<ModelFolder, 'architecture'>;
  readonly engines: EngineSource;
}

interface OpenEncoder {
  readonly native: NativeTextEncoder;
  readonly sentences: number;
  readonly tokens: number;
}

/** The text encoder on the GPU, opened when the first sentence comes. */
export class SentenceEncoder {
  #open: Promise<OpenEncoder> | undefined;
  #disposed = false;

  constructor(private readonly options: SentenceEncoderOptions) {}

  /**
   * Text features of token ids, each [S,D]. Throws `RvosError` LIMIT_EXCEEDED for a sentence that the engine was not built
   * for; ENGINE_MISSING, BAD_ENGINE, OUT_OF_MEMORY, BACKEND_FAILED.
   */
  async encode(sentences: readonly (readonly number[])[]): Promise<TextFeatures[]> {
    const { native, ...limits } = await this.#opened();
    const longest = Math.max(...sentences.map(({ length }) => length));
    if (longest > limits.tokens) throw tooLong(longest, limits.tokens, this.options.engines.commandForTokens(longest));
    const { pad_token_id: padId } = this.options.model.architecture.roberta;
    const texts: TextFeatures[] = [];
    for (let first = 0; first < sentences.length; first += limits.sentences) {
      const group = sentences.slice(first, first + limits.sentences);
      const batch = tokenBatch(group, padId);
      const { inputIds, attentionMask, length } = batch;
      const all = await native
        .encode({ inputIds, attentionMask, sentences: group.length, tokens: length })
        .catch((error: unknown) => {
          throw toRvosError(error);
        });
      const width = all.length / (group.length * length);
      group.forEach((ids, p) => {
        const from = p * length * width;
        texts.push({ tokens: ids.length, features: all.slice(from, from + ids.length * width) });
      });
    }
    return texts;
  }

  /** Safe to call twice. */
  async dispose(): Promise<void> {
    this.#disposed = true;
    const open = await this.#open?.catch(() => undefined);
    await open?.native.dispose();
  }

  #opened(): Promise<OpenEncoder> {
    if (this.#disposed) throw new RvosError('BACKEND_FAILED', 'the segmenter was disposed', 'Open a new one.');
    if (this.#open) return this.#open;
    const open = this.#openEngine();
    // What was missing may be there the next time.
    open.catch(() => {
      if (this.#open === open) this.#open = undefined;
    });
    this.#open = open;
    return open;
  }

  async #openEngine(): Promise<OpenEncoder> {
    const { addon, device, model, engines } = this.options;
    const { path, limits } = await engines.textEncoder();
    const { sentences, tokens } = limits;
    const features = model.architecture.mttr.d_model;
    try {
      const native = await addon.openTextEncoder({ device, engine: path, sentences, tokens, features });
      return { native, sentences, tokens };
    } catch (error) {
      throw toRvosError(error, { what: path });
    }
  }
}

/** The error for a sentence that is longer than engines allow. */
export function tooLong(tokens: number, most: number, command: string): RvosError {
  return new RvosError(
    'LIMIT_EXCEEDED',
    `a sentence has ${tokens} tokens, the TensorRT engines take up to ${most}`,
    `Shorten it, or build engines for longer ones: ${command}`,
  );
}
