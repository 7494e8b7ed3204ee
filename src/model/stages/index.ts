import type { StageName } from '../architecture.js';
import type { ClipSize, FrameSize } from '../clip-size.js';
import { backboneGraph } from './backbone.js';
import { boxedBackboneGraph } from './backbone-boxed.js';
import { denseBackboneGraph } from './backbone-dense.js';
import type { StageOptions } from './stage-options.js';
import { textEncoderGraph } from './text-encoder.js';
import { transformerGraph } from './transformer.js';
import { denseTransformerGraph } from './transformer-dense.js';

/**
 * The ONNX graph of one stage, its weights external in `weights.bin`. `clip` is needed by all but the text encoder; the
 * transformer for TensorRT and OpenVINO serves any number of frames, so that a size in pixels is enough. Throws TypeError without it.
 */
export function stageGraph(
  stage: StageName,
  options: StageOptions & { readonly clip?: ClipSize | FrameSize },
): Uint8Array {
  const { clip, target } = options;
  if (stage === 'text-encoder') return textEncoderGraph(options);
  if (!clip) throw new TypeError(`the graph of the ${stage} needs a clip size`);
  if (stage === 'transformer' && target !== 'onnxruntime') return denseTransformerGraph(options, clip);
  if (!('frames' in clip)) throw new TypeError(`the graph of the ${stage} needs a number of frames`);
  if (stage === 'transformer') return transformerGraph(options, clip);
  switch (target) {
    case 'tensorrt':
      return denseBackboneGraph(options, clip);
    case 'openvino':
      return boxedBackboneGraph(options, clip);
    case 'onnxruntime':
      return backboneGraph(options, clip);
  }
}
