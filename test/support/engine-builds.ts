import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StageName } from '../../src/model/architecture.js';
import type { ModelFolder } from '../../src/model/model-folder.js';
import { stageGraph } from '../../src/model/stages/index.js';
import type {
  BuildProgress,
  EngineBuild,
  EngineBuildTask,
  NativeErrorCode,
  ShapeRange,
  TensorRtAddon,
} from '../../src/native/tensorrt-addon.js';

/** Network input of the engines that tests build. */
export const engineSize = { height: 96, width: 160 };

/** The FP16 engine graph of a stage, written beside the model's weights. */
export async function writeEngineGraph(model: ModelFolder, stage: StageName): Promise<string> {
  const path = join(model.path, `engine-${stage}.onnx`);
  const { architecture, precision } = model;
  const clip = { frames: 8, ...engineSize };
  const bytes = stageGraph(stage, {
    architecture,
    stored: precision,
    target: 'tensorrt',
    compute: 'fp16',
    sums: 'fp32',
    clip,
  });
  await writeFile(path, bytes);
  return path;
}

/** Sentences 1 … 8 of 2 … 64 tokens. */
export const textProfile: Readonly<Record<string, ShapeRange>> = Object.fromEntries(
  ['input_ids', 'attention_mask'].map((name) => [name, { min: [1, 2], opt: [1, 16], max: [8, 64] }]),
);

/** One or two windows. */
export function backboneProfile(frames = 8): Readonly<Record<string, ShapeRange>> {
  const { height, width } = engineSize;
  const shape = (windows: number) => [windows, frames, 3, height, width];
  return { frames: { min: shape(1), opt: shape(2), max: shape(2) }, frame_count: { min: [1], opt: [2], max: [2] } };
}

/** What an Error of the addon says. */
export interface NativeFailure {
  readonly code: NativeErrorCode;
  readonly message: string;
}

export function failureOf(error: unknown): NativeFailure {
  if (!(error instanceof Error) || !('code' in error) || typeof error.code !== 'string') throw error;
  return { code: error.code as NativeErrorCode, message: error.message };
}

/** How a build that must fail does so: its error, which is one line, and nothing left on the disk. */
export async function failedBuild(addon: TensorRtAddon, build: EngineBuild): Promise<NativeFailure> {
  const failure = await addon.buildEngine(build).done.then(
    () => Promise.reject(new Error('the engine was built')),
    (error: unknown) => failureOf(error),
  );
  if (failure.message.includes('\n')) throw new Error(`the message has several lines: ${failure.message}`);
  if (!build.output.startsWith('/dev/') && existsSync(build.output)) throw new Error('the output is left behind');
  return failure;
}

/** Resolves with the first progress that `wanted` accepts. */
export function buildUntil(
  addon: TensorRtAddon,
  build: EngineBuild,
  wanted: (progress: BuildProgress) => boolean,
): Promise<EngineBuildTask> {
  return new Promise((resolve, reject) => {
    const task: EngineBuildTask = addon.buildEngine({
      ...build,
      onProgress: (progress) => {
        if (wanted(progress)) resolve(task);
      },
    });
    task.done.then(() => reject(new Error('the engine was built before')), reject);
  });
}
