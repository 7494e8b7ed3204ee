import type { StageName } from '../architecture.js';
import { backboneGraph } from './backbone.js';
import { denseBackboneGraph } from './backbone-dense.js';
import type { ClipSize, StageOptions } from './stage-options.js';
import { textEncoderGraph } from './text-encoder.js';
import { transformerGraph } from './transformer.js';

/** The ONNX graph of one stage, its weights external in `weights.bin`; `clip` is needed by all but the text encoder. */
export function stageGraph(stage: StageName, options: StageOptions & { readonly clip?: ClipSize }): Uint8Array {
  if (stage === 'text-encoder') return textEncoderGraph(options);
  if (!options.clip) throw new TypeError(`the graph of the ${stage} needs a clip size`);
  if (stage === 'transformer') return transformerGraph(options, options.clip);
  return options.target === 'tensorrt'
    ? denseBackboneGraph(options, options.clip)
    : backboneGraph(options, options.clip);
}
