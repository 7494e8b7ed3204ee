import { roundHalfToEven } from '../../round-half-to-even.js';

/** What DAVIS reports of a measure over the frames of one track. */
export interface SequenceStatistics {
  readonly mean: number;
  /** Share of frames above 0.5. */
  readonly recall: number;
  /** Mean of the first quarter of the frames minus that of the last. */
  readonly decay: number;
}

/** Statistics over frames in order (Perazzi et al., CVPR 2016, §4.1); NaN for no frames. */
export function sequenceStatistics(values: readonly number[]): SequenceStatistics {
  const mean = average(values);
  const recall = average(values.map((value) => (value > 0.5 ? 1 : 0)));
  // DAVIS' own binning: round(linspace(1, n, 5) + 1e-10) − 1, of which consecutive edges share a frame.
  const edges = Array.from({ length: 5 }, (_, i) => roundHalfToEven(1 + ((values.length - 1) * i) / 4 + 1e-10) - 1);
  const part = (i: number) => average(values.slice(edges[i]!, edges[i + 1]! + 1));
  return { mean, recall, decay: part(0) - part(3) };
}

export function average(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
