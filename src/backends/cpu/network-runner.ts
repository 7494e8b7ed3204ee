import { maskByteLength } from '../../masks/mask.js';
import { loadCore } from '../../native/load-core.js';
import { float32Tensor, type Tensor } from '../../tensors/tensor.js';
import { tokenBatch } from '../../text/token-batch.js';
import { linkedObjectQuery } from '../object-query.js';
import { keptSessions, keptTextEncoderBytes, sentencesPerRun } from './limits.js';
import type { EncodeTextMessage, FromProcess, SegmentMessage, ToProcess } from './protocol.js';
import type { NamedTensors, Runtime } from './runtime.js';
import { SessionCache } from './session-cache.js';
import { WindowBuffer } from './window-buffer.js';

type Post = (reply: FromProcess) => Promise<void>;

const levels = ['level0', 'level1', 'level2'] as const;
/** Masks are sent in pieces of about this size, so that the receiver's event loop never stands still for long. */
const pieceBytes = 2 * 2 ** 20;

/** Runs the network's stages in the child process: frames and text in, packed masks out; features stay here. */
export class NetworkRunner {
  readonly #sessions: SessionCache;
  readonly #buffers = new Map<number, WindowBuffer>();
  #current: WindowBuffer | undefined;
  /** The text encoder, if it is loaded and large. */
  #largeTextEncoder: string | undefined;
  /** Backbone outputs are written into the same memory window after window, as long as the sizes stay. */
  #levels: { readonly graph: string; readonly tensors: NamedTensors | undefined } | undefined;

  constructor(
    private readonly runtime: Runtime,
    private readonly weightBytes: (graph: string) => Promise<number>,
  ) {
    this.#sessions = new SessionCache(keptSessions, runtime);
  }

  async handle(message: ToProcess, post: Post): Promise<void> {
    switch (message.kind) {
      case 'hello':
        return post({ kind: 'hello', version: this.runtime.version });
      case 'encode-text':
        return this.#encodeText(message, post);
      case 'window': {
        for (const stream of message.forget) this.#buffers.delete(stream);
        this.#current = this.#buffers.get(message.stream) ?? new WindowBuffer();
        this.#buffers.set(message.stream, this.#current);
        return this.#current.begin(message);
      }
      case 'frame':
        return this.#current?.put(message.position, message.pixels);
      case 'segment':
        return this.#segment(message, post);
    }
  }

  async #encodeText({ graph, sentences, padId }: EncodeTextMessage, post: Post): Promise<void> {
    const session = await this.#sessions.open(graph);
    if ((await this.weightBytes(graph)) > keptTextEncoderBytes) this.#largeTextEncoder = graph;
    const batch = tokenBatch(sentences, padId);
    const shape = [batch.sentences, batch.length];
    const { text_features } = await session.run({
      input_ids: { dtype: 'I64', shape, data: batch.inputIds },
      attention_mask: { dtype: 'I64', shape, data: batch.attentionMask },
    });
    const all = floats(text_features);
    const width = all.length / (batch.sentences * batch.length);
    const texts = sentences.map((ids, p) => {
      const from = p * batch.length * width;
      return { tokens: ids.length, features: all.slice(from, from + ids.length * width) };
    });
    await post({ kind: 'text', texts });
  }

  async #segment(job: SegmentMessage, post: Post): Promise<void> {
    if (!this.#current) throw new Error('no window was opened');
    const { window } = this.#current;
    if (this.#largeTextEncoder) await this.#sessions.release(this.#largeTextEncoder);
    this.#largeTextEncoder = undefined;

    const frames = await this.#current.frames();
    const shape = [1, window.count, 3, window.height, window.width];
    const features = keepFrames(
      await this.#runBackbone(job.backboneGraph, float32Tensor(shape, frames)),
      job,
      window.count,
    );
    const transformer = await this.#sessions.open(job.transformerGraph);
    for (let first = 0; first < job.texts.length; first += sentencesPerRun) {
      const texts = job.texts.slice(first, first + sentencesPerRun);
      const outputs = await transformer.run({
        ...features,
        frame_count: { dtype: 'I32', shape: [1], data: Int32Array.of(job.frames.length) },
        ...textInputs(texts),
      });
      for (let i = 0; i < texts.length; i++) await sendMasks(job, window, first + i, sentenceOutputs(outputs, i), post);
    }
    await post({ kind: 'done', replace: this.#sessions.created >= this.runtime.sessionsPerProcess });
  }

  async #runBackbone(graph: string, frames: Tensor): Promise<NamedTensors> {
    const session = await this.#sessions.open(graph);
    if (this.#levels?.graph !== graph) this.#levels = { graph, tensors: session.outputMemory() };
    return session.run({ frames }, this.#levels.tensors);
  }
}

/** Feature levels [1,T,C,h,w] of the frames at the positions asked for. */
function keepFrames(features: NamedTensors, job: SegmentMessage, count: number): NamedTensors {
  if (job.frames.length === count && job.frames.every((position, i) => position === i)) return features;
  return Object.fromEntries(
    levels.map((name) => {
      const data = floats(features[name]);
      const frame = data.length / count;
      const kept = new Float32Array(job.frames.length * frame);
      job.frames.forEach((position, i) => {
        kept.set(data.subarray(position * frame, (position + 1) * frame), i * frame);
      });
      const [, , ...rest] = features[name]!.shape;
      return [name, float32Tensor([1, job.frames.length, ...rest], kept)];
    }),
  );
}

/** The transformer's text inputs: features [P,S,D] padded with zeros, attention mask [P,S], all looking at window 0. */
function textInputs(texts: SegmentMessage['texts']): NamedTensors {
  const count = texts.length;
  const length = Math.max(...texts.map((text) => text.tokens));
  const width = texts[0]!.features.length / texts[0]!.tokens;
  const features = new Float32Array(count * length * width);
  const mask = new BigInt64Array(count * length);
  texts.forEach((text, p) => {
    features.set(text.features, p * length * width);
    mask.fill(1n, p * length, p * length + text.tokens);
  });
  return {
    text_features: float32Tensor([count, length, width], features),
    attention_mask: { dtype: 'I64', shape: [count, length], data: mask },
    window_index: { dtype: 'I32', shape: [count], data: new Int32Array(count) },
  };
}

interface SentenceOutputs {
  /** [N] */
  readonly scores: Float32Array;
  readonly bestQuery: number;
  /** [T,K] of the best query. */
  readonly kernels: Float32Array;
  /** [T,N,K] */
  readonly allKernels: Float32Array;
  /** [T,K,fh,fw] */
  readonly features: Float32Array;
  readonly kernelSize: number;
  readonly featureHeight: number;
  readonly featureWidth: number;
}

function sentenceOutputs(outputs: NamedTensors, p: number): SentenceOutputs {
  const [, , kernelSize, featureHeight, featureWidth] = outputs.mask_features!.shape;
  return {
    scores: part(outputs.referred_score, p).slice(),
    bestQuery: Number((outputs.query_index!.data as Int32Array)[p]),
    kernels: part(outputs.mask_kernels, p),
    allKernels: part(outputs.all_mask_kernels, p),
    features: part(outputs.mask_features, p),
    kernelSize: kernelSize!,
    featureHeight: featureHeight!,
    featureWidth: featureWidth!,
  };
}

async function sendMasks(
  job: SegmentMessage,
  window: { readonly height: number; readonly width: number },
  sentence: number,
  outputs: SentenceOutputs,
  post: Post,
): Promise<void> {
  const { scores, kernelSize, featureHeight, featureWidth, allKernels } = outputs;
  const { originalHeight, originalWidth } = job;
  const frames = job.frames.length;
  const objectQueries = scores.length;
  const kernelsOf = (query: number): Float32Array => {
    const kernels = new Float32Array(frames * kernelSize);
    for (let t = 0; t < frames; t++) {
      const at = (t * objectQueries + query) * kernelSize;
      kernels.set(allKernels.subarray(at, at + kernelSize), t * kernelSize);
    }
    return kernels;
  };

  const previous = job.link[sentence];
  const linked =
    previous &&
    (await linkedObjectQuery({
      ...outputs,
      kernels: allKernels,
      objectQueries,
      previous,
      height: originalHeight,
      width: originalWidth,
    }));
  const objectQuery = linked ?? outputs.bestQuery;
  await post({ kind: 'sentence', sentence, objectQuery, score: scores[objectQuery]!, scores });

  const bytes = maskByteLength(originalWidth, originalHeight);
  const framesPerPiece = Math.max(1, Math.floor(pieceBytes / bytes));
  // Sending copies it: the same memory serves all pieces.
  const piece = new Uint8Array(Math.min(frames, framesPerPiece) * bytes);
  const featureFrame = kernelSize * featureHeight * featureWidth;
  const wanted = job.queries === 'all' ? Array.from(scores.keys()) : [objectQuery];
  for (const [rank, query] of wanted.entries()) {
    const kernels = query === outputs.bestQuery ? outputs.kernels : kernelsOf(query);
    for (let from = 0; from < frames; from += framesPerPiece) {
      const count = Math.min(framesPerPiece, frames - from);
      const target = piece.subarray(0, count * bytes);
      await loadCore().maskHead({
        kernels: kernels.subarray(from * kernelSize, (from + count) * kernelSize),
        features: outputs.features.subarray(from * featureFrame, (from + count) * featureFrame),
        frames: count,
        kernelSize,
        featureHeight,
        featureWidth,
        paddedHeight: window.height,
        paddedWidth: window.width,
        resizedHeight: window.height,
        resizedWidth: window.width,
        height: originalHeight,
        width: originalWidth,
        target,
      });
      await post({ kind: 'masks', sentence, first: rank * frames + from, bits: target });
    }
  }
}

function floats(value: Tensor | undefined): Float32Array {
  const data = value?.data;
  if (!(data instanceof Float32Array)) throw new Error('the graph gave no float32 output of the name expected');
  return data;
}

/** Element p of a float32 tensor's first dimension. */
function part(value: Tensor | undefined, p: number): Float32Array {
  const data = floats(value);
  const size = data.length / value!.shape[0]!;
  return data.subarray(p * size, (p + 1) * size);
}
