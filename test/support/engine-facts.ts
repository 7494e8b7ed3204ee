import { readFile } from 'node:fs/promises';

/** What a built engine is made of, by the builder's log and the engine's own text. */
export interface EngineFacts {
  readonly kernels: number;
  readonly fusedAttentions: number;
  /** Inputs and outputs of all kernels in bytes, weights apart; null where shapes are not fixed. */
  readonly traffic: number | null;
  /** `accumulation_type` of every matrix product: 0 is FP16, 2 is FP32. */
  readonly sums: readonly number[];
  /** Sums of the two products of every fused attention. */
  readonly attentionSums: readonly string[];
}

const bytes: Record<string, number> = { Half: 2, Float: 4, Int32: 4, Int64: 8, Bool: 1 };

/** `log`: the file that the build was told to keep. */
export async function engineFacts(engine: string, log: string): Promise<EngineFacts> {
  const lines = (await readFile(log, 'latin1')).split('\n');
  const layers = lines.filter((line) => line.startsWith('Name: ') && line.includes(', LayerType: '));
  const text = await readFile(engine, 'latin1');
  const all = (pattern: RegExp) => Array.from(text.matchAll(pattern), ([, found]) => found!);
  const traffic = layers.reduce((sum, layer) => sum + layerTraffic(layer), 0);
  return {
    kernels: layers.length,
    fusedAttentions: layers.filter((layer) => layer.startsWith('Name: _gemm_mha_v2')).length,
    traffic: traffic > 0 ? traffic : null,
    sums: all(/accumulation_type=(\d)/g).map(Number),
    attentionSums: all(/hmma_(fp\d+)_traits/g),
  };
}

function layerTraffic(layer: string): number {
  const parts = /Inputs: \[(.*?)\], Constants: .*?, Outputs: \[(.*)\], TacticName/.exec(layer);
  const tensors = `${parts?.[1]} ${parts?.[2]}`.matchAll(/Dimensions: \[([^\]]*)\].*?Datatype: (\w+)/g);
  let sum = 0;
  for (const [, dims, type] of tensors) {
    const extents = dims === '' ? [] : dims!.split(',').map(Number);
    // −1: by the profile.
    if (extents.some((extent) => extent < 0)) return Number.NaN;
    sum += extents.reduce((a, b) => a * b, bytes[type!] ?? Number.NaN);
  }
  return sum;
}
