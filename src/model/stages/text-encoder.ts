import type { Value } from '../onnx/graph-builder.js';
import { Operators } from '../onnx/operators.js';
import type { Target } from '../target.js';
import { multiHeadAttention, paddingMask } from './attention.js';
import { graphOptions, type StageOptions } from './stage-options.js';

const root = 'transformer.text_encoder';

/**
 * RoBERTa and the feature resizer (model-spec §3) for any number of sentences P of any length S:
 * `input_ids`, `attention_mask` int64 [P, S] → `text_features` float [P, S, D].
 */
export function textEncoderGraph(options: StageOptions): Uint8Array {
  const g = new Operators(graphOptions('text-encoder', options));
  const { roberta, mttr } = options.architecture;
  const ids = g.input('input_ids', 'int64', ['P', 'S']);
  const attentionMask = g.input('attention_mask', 'int64', ['P', 'S']);
  const mask = g.reshape(paddingMask(g, attentionMask), [0, 1, 1, -1], ['P', 1, 1, 'S']);

  let x = g.layerNorm(
    embeddings(g, options.target, ids, roberta.pad_token_id),
    `${root}.embeddings.LayerNorm`,
    roberta.layer_norm_eps,
  );
  for (let i = 0; i < roberta.num_hidden_layers; i++) {
    const layer = `${root}.encoder.layer.${i}`;
    const [q, k, v] = (['query', 'key', 'value'] as const).map((part) =>
      g.linear(x, `${layer}.attention.self.${part}`),
    );
    const mixed = multiHeadAttention(g, options.target, q!, k!, v!, roberta.num_attention_heads, mask);
    const attended = g.add(g.linear(mixed, `${layer}.attention.output.dense`), x);
    x = g.layerNorm(attended, `${layer}.attention.output.LayerNorm`, roberta.layer_norm_eps);
    const hidden = g.gelu(g.linear(x, `${layer}.intermediate.dense`));
    x = g.layerNorm(
      g.add(g.linear(hidden, `${layer}.output.dense`), x),
      `${layer}.output.LayerNorm`,
      roberta.layer_norm_eps,
    );
  }
  const resized = g.layerNorm(g.linear(x, 'transformer.txt_proj.fc'), 'transformer.txt_proj.layer_norm', 1e-12);
  g.output('text_features', { ...g.cast(resized, 'float'), shape: ['P', 'S', mttr.d_model] });
  return g.build();
}

/** word + token type 0 + position; positions count the tokens that are not padding and start at pad id + 1. */
function embeddings(g: Operators, target: Target, ids: Value, padId: number): Value {
  const table = (name: string, index: Value) => {
    const weight = `${root}.embeddings.${name}.weight`;
    // An engine keeps the table as it is gathered from: cast as a whole it is half the size. ONNX Runtime would keep both.
    const rows = target === 'tensorrt' ? g.weight(weight) : g.storedWeight(weight);
    return g.cast(g.gather(rows, index, 0), g.computeType);
  };
  const pad = g.constant('int64', [padId], []);
  const present = g.where(g.equal(ids, pad), g.constant('int64', [0], []), g.constant('int64', [1], []));
  const running = target === 'tensorrt' ? runningSum(g, present) : cumulativeSum(g, present);
  const positions = g.add(g.mul(running, present), pad);
  const type = table('token_type_embeddings', g.constant('int64', [0], [1]));
  return g.add(g.add(table('word_embeddings', ids), type), table('position_embeddings', positions));
}

function cumulativeSum(g: Operators, x: Value): Value {
  return g.node('CumSum', [x, g.constant('int64', [1], [])], x.type, x.shape);
}

/**
 * The same as a sum over a triangle: TensorRT 10 sums in a loop and floats only, and has no FP32 product for GPUs of
 * compute capability 7.5. Counts of tokens are exact in FP32.
 */
function runningSum(g: Operators, x: Value): Value {
  const size = g.gather(g.sizeOf(x, 1), g.constant('int64', [0], []), 0);
  const int = (value: number) => g.scalar(value, 'int32');
  const places = g.node('Range', [int(0), g.cast(size, 'int32'), int(1)], 'int32', ['S']);
  const later = g.reshape(g.add(places, int(1)), [1, 1, -1], [1, 1, 'S']);
  const counts = g.less(g.reshape(places, [1, -1, 1], [1, 'S', 1]), later);
  const values = g.reshape(g.cast(x, 'float'), [0, -1, 1], ['P', 'S', 1]);
  const counted = g.where(counts, values, g.scalar(0, 'float'));
  const sum = g.node('ReduceSum', [counted, g.constant('int64', [1])], 'float', ['P', 'S'], { keepdims: 0 });
  return g.cast(sum, x.type);
}
