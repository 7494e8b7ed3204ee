import type { ModelFolder } from '../../model/model-folder.js';
import type { Size } from '../../preprocess/size-rule.js';
import type { WindowGraphs } from './protocol.js';
import type { CpuRuntimeName } from './runtime.js';

/**
 * The graphs for a window of `frames` frames, of which `kept` pass the transformer. ONNX Runtime's are exact. OpenVINO's
 * backbone is written for whole temporal windows and takes any shorter clip, so that the short window at the end of a video
 * runs on what is compiled; its transformer takes one temporal window at a time, or a single frame.
 */
export async function windowGraphs(
  model: ModelFolder,
  runtime: CpuRuntimeName,
  size: Size,
  { frames, kept }: { readonly frames: number; readonly kept: number },
): Promise<WindowGraphs> {
  if (runtime === 'onnxruntime') {
    const [backbone, transformer] = await Promise.all([
      model.graphPath('backbone', { frames, ...size }),
      model.graphPath('transformer', { frames: kept, ...size }),
    ]);
    return { backbones: [{ path: backbone, frames }], transformer: { path: transformer, frames: kept } };
  }
  const [step] = model.architecture.swin.window_size;
  const longest = Math.max(frames, model.windows.length);
  const lengths: number[] = [];
  for (let length = step * Math.ceil(frames / step); lengths.length === 0 || length < longest + step; length += step) {
    lengths.push(length);
  }
  const backbones = lengths.map(async (length) => ({
    path: await model.graphPath('backbone', { frames: length, ...size }, runtime),
    frames: length,
  }));
  const transformer = await model.graphPath('transformer', { height: size.height, width: size.width }, runtime);
  return {
    backbones: await Promise.all(backbones),
    transformer: { path: transformer, frames: kept === 1 ? 1 : step },
  };
}
