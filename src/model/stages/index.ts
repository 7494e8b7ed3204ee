import type { StageName } from '../architecture.js';
import { backboneGraph } from './backbone.js';
import type { ClipSize, StageOptions } from './stage-options.js';

/** The ONNX graph of one stage; all but the text encoder's are for one clip size. */
export function stageGraph(stage: StageName, options: StageOptions & { readonly clip?: ClipSize }): Uint8Array {
  if (stage === 'backbone' && options.clip) return backboneGraph(options, options.clip);
  throw new Error(`no graph of ${stage}`);
}
