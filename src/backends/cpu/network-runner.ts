import { maskByteLength } from '../../masks/mask.js';
import { loadCore } from '../../native/load-core.js';
import { float32Tensor } from '../../tensors/tensor.js';
import { tokenBatch } from '../../text/token-batch.js';
import { linkedObjectQuery } from '../object-query.js';
import { keptSessions, keptTextEncoderBytes, textEncoderOptions } from './limits.js';
import type { EncodeTextMessage, FramesGraph, FromProcess, SegmentMessage, ToProcess } from './protocol.js';
import type { NamedTensors, OpenOptions, Runtime, Session } from './runtime.js';
import { SessionCache } from './session-cache.js';
import { floats, kernelsOf, runTransformer, type SentenceOutputs } from './transformer-pass.js';
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
  /** From `cancel` until its message has its turn. */
  #cancelled = false;

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
      case 'cancel':
        this.#cancelled = false;
        return post({ kind: 'cancelled' });
    }
  }

  /** Ends the run under way; what waits for it then rejects. */
  cancel(): void {
    this.#cancelled = true;
    this.runtime.cancel();
  }

  async #open(graph: string, options?: OpenOptions): Promise<Session> {
    const session = await this.#sessions.open(graph, options);
    // It may have come while no run was under way that it could end.
    if (this.#cancelled) throw new Error('the job was cancelled');
    return session;
  }

  async #encodeText({ graph, sentences, padId }: EncodeTextMessage, post: Post): Promise<void> {
    const session = await this.#open(graph, textEncoderOptions);
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

    const { transformer } = job.graphs;
    const kept = job.frames.length;
    const features = await this.#runBackbone(job.graphs.backbones, this.#current);
    const room = transformer.frames * Math.ceil(kept / transformer.frames);
    const levels = keepFrames(features, job.frames, room);
    const open = (path: string, options: OpenOptions) => this.#open(path, options);
    for (const [sentence, text] of job.texts.entries()) {
      const mask = new BigInt64Array(text.tokens).fill(1n);
      const outputs = await runTransformer(this.runtime, open, transformer, {
        levels,
        frames: kept,
        text: { features: text.features, mask },
      });
      await sendMasks(job, window, sentence, outputs, post);
    }
    await post({ kind: 'done', replace: this.#sessions.created >= this.runtime.sessionsPerProcess });
  }

  /** Levels of the window, [1,T,…]; with as many frames as the graph that gave them. */
  async #runBackbone(graphs: readonly FramesGraph[], buffer: WindowBuffer): Promise<NamedTensors> {
    const graph = graphs.find(({ path }) => this.#sessions.has(path)) ?? graphs[0]!;
    const session = await this.#open(graph.path);
    if (this.#levels?.graph !== graph.path) {
      this.#levels = undefined;
      this.#levels = { graph: graph.path, tensors: session.outputMemory() };
    }
    const frames = await buffer.frames(graph.frames);
    const { count, height, width } = buffer.window;
    return session.run(
      {
        frames: float32Tensor([1, graph.frames, 3, height, width], frames),
        ...(this.runtime.anyLength && {
          frame_count: { dtype: 'I32', shape: [1], data: Int32Array.of(count) } as const,
        }),
      },
      this.#levels.tensors,
    );
  }
}

/** Levels of the frames at the positions asked for, in room for `room` frames; as they are where that changes nothing. */
function keepFrames(features: NamedTensors, positions: readonly number[], room: number): NamedTensors {
  const frames = features.level0!.shape[1]!;
  if (frames >= room && positions.every((position, i) => position === i)) return features;
  return Object.fromEntries(
    levels.map((name) => {
      const data = floats(features[name]);
      const frame = data.length / frames;
      const kept = new Float32Array(room * frame);
      positions.forEach((position, i) => {
        kept.set(data.subarray(position * frame, (position + 1) * frame), i * frame);
      });
      const [, , ...rest] = features[name]!.shape;
      return [name, float32Tensor([1, room, ...rest], kept)];
    }),
  );
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
    const kernels = kernelsOf(outputs, query);
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
