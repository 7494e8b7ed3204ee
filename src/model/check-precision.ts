import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Tensor } from 'onnxruntime-node';
import { loadOnnxRuntime } from '../backends/cpu/load-onnxruntime.js';
import { sessionOptions } from '../backends/cpu/onnxruntime-options.js';
import { defaultThreads } from '../backends/cpu/runtime.js';
import { RvosError, throwIfAborted } from '../errors.js';
import { networkSize } from '../preprocess/size-rule.js';
import { fromHalf, toHalf } from '../tensors/float16.js';
import type { Architecture, Precision, StageName } from './architecture.js';
import type { Checkpoint } from './checkpoint/checkpoint.js';
import { weightsFile } from './model-description.js';
import { stageGraph } from './stages/index.js';
import { writeWeights } from './weight-file.js';

/** How far FP16 is from FP32 in one output of a stage. */
export interface StageError {
  readonly stage: StageName;
  readonly output: string;
  /** Largest absolute difference, as a part of the output's root mean square. */
  readonly worst: number;
}

/** Inputs that the FP16 form takes as FP16. */
const halved = new Set(['frames', 'level0', 'level1', 'level2']);

type Tensors = Readonly<Record<string, Tensor>>;

/** A short, small clip: FP16 is slow on a CPU, and errors hardly depend on the size. */
const clip = { frames: 8, ...networkSize({ height: 720, width: 1280 }, { shortSide: 96, longSide: 160 }) };
const tokens = 12;
/** Outputs that are floats; the chosen query is an index. */
const compared: Record<StageName, readonly string[]> = {
  backbone: ['level0', 'level1', 'level2'],
  'text-encoder': ['text_features'],
  transformer: ['referred_score', 'all_mask_kernels', 'mask_features'],
};

/**
 * Runs each stage twice on ONNX Runtime: exact in FP32, and as engines compute it, weights and products in FP16. Every
 * stage gets the same FP32 inputs in both. Weights are written to `scratch`, which is emptied again. Blocks the event
 * loop while a stage runs. Throws `RvosError` BAD_CHECKPOINT if a weight is beyond FP16's range; ABORTED.
 */
export async function checkPrecision(
  checkpoint: Checkpoint,
  architecture: Architecture,
  scratch: string,
  signal?: AbortSignal,
): Promise<StageError[]> {
  const { InferenceSession, Tensor } = loadOnnxRuntime();
  const half = (tensor: Tensor): Tensor => {
    const data = tensor.data as Float32Array;
    const halves = new Uint16Array(data.length);
    const overflow = toHalf(data, halves);
    if (overflow) {
      throw new RvosError(
        'BAD_CHECKPOINT',
        `a feature of ${overflow.value} is beyond the range of FP16`,
        'Run this network in FP32: its weights are damaged or were not trained.',
      );
    }
    return new Tensor('float16', halves, tensor.dims);
  };
  const run = async (precision: Precision, stage: StageName, inputs: Tensors): Promise<Tensors> => {
    throwIfAborted(signal);
    const target = precision === 'fp16' ? 'tensorrt' : 'onnxruntime';
    const path = join(scratch, precision, `${stage}.onnx`);
    const options = { architecture, target, stored: precision, compute: precision, sums: 'fp32', clip } as const;
    await writeFile(path, stageGraph(stage, options));
    const session = await InferenceSession.create(path, sessionOptions(defaultThreads()));
    try {
      const names = new Set(session.inputNames);
      const feeds = Object.entries(inputs)
        .filter(([name]) => names.has(name))
        .map(([name, tensor]) => [name, precision === 'fp16' && halved.has(name) ? half(tensor) : tensor]);
      return await session.run(Object.fromEntries(feeds));
    } finally {
      await session.release();
    }
  };
  const both = async (stage: StageName, inputs: Tensors): Promise<{ outputs: Tensors; errors: StageError[] }> => {
    const outputs = await run('fp32', stage, inputs);
    const found = await run('fp16', stage, inputs);
    const errors = compared[stage].map((output) => ({
      stage,
      output,
      worst: worstError(floatsOf(outputs[output]!), floatsOf(found[output]!)),
    }));
    return { outputs, errors };
  };

  try {
    for (const precision of ['fp32', 'fp16'] as const) {
      await mkdir(join(scratch, precision), { recursive: true });
      await writeWeights(join(scratch, precision, weightsFile), checkpoint, architecture, { precision, signal });
    }
    const frameCount = new Tensor('int32', Int32Array.of(clip.frames), [1]);
    const backbone = await both('backbone', {
      frames: new Tensor('float32', sampleFrames(), [1, clip.frames, 3, clip.height, clip.width]),
      frame_count: frameCount,
    });
    const mask = new Tensor('int64', new BigInt64Array(tokens).fill(1n), [1, tokens]);
    const text = await both('text-encoder', {
      input_ids: new Tensor('int64', sampleIds(architecture), [1, tokens]),
      attention_mask: mask,
    });
    const transformer = await both('transformer', {
      ...backbone.outputs,
      ...text.outputs,
      attention_mask: mask,
      frame_count: frameCount,
      window_index: new Tensor('int32', Int32Array.of(0), [1]),
    });
    return [...backbone.errors, ...text.errors, ...transformer.errors];
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** A colourful pattern that moves, in normalised pixel values. */
function sampleFrames(): Float32Array {
  const { frames, height, width } = clip;
  const values = new Float32Array(frames * 3 * height * width);
  let i = 0;
  for (let t = 0; t < frames; t++) {
    for (let c = 0; c < 3; c++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) values[i++] = 2 * Math.sin((x + 3 * t) / (5 + c)) * Math.cos((y - t) / (7 - c));
      }
    }
  }
  return values;
}

/** `<s>`, tokens from all over the vocabulary, `</s>`. */
function sampleIds({ roberta }: Architecture): BigInt64Array {
  const ids = BigInt64Array.from({ length: tokens }, (_, i) => BigInt((i * 7919 + 5) % roberta.vocab_size));
  ids[0] = BigInt(roberta.bos_token_id);
  ids[tokens - 1] = BigInt(roberta.eos_token_id);
  // Padding in the middle would shift all positions after it.
  return ids.map((id) => (id === BigInt(roberta.pad_token_id) ? BigInt(roberta.eos_token_id) : id));
}

function floatsOf(tensor: Tensor): Float32Array {
  return tensor.type === 'float16' ? fromHalf(tensor.data as Uint16Array) : (tensor.data as Float32Array);
}

function worstError(expected: Float32Array, actual: Float32Array): number {
  let [worst, squares] = [0, 0];
  for (let i = 0; i < expected.length; i++) {
    worst = Math.max(worst, Math.abs(expected[i]! - actual[i]!));
    squares += expected[i]! ** 2;
  }
  return worst / Math.sqrt(squares / expected.length);
}
