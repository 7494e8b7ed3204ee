import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { levels, limits } from './synthetic-network.js';

/** Extents a profile allows for one input: least and most. */
export type Range = readonly [least: readonly number[], most: readonly number[]];

/** An engine of the simulated device that has tensors and profiles, and no graph: what runs it is up to the test. */
export async function writeEngine(
  folder: string,
  name: string,
  tensors: readonly string[],
  profiles: readonly Readonly<Record<string, Range>>[],
): Promise<string> {
  const path = join(folder, `${name}.engine`);
  const ranges = profiles.flatMap((profile, i) =>
    Object.entries(profile).map(([input, [least, most]]) => `range ${i} ${input} ${[...least, ...most].join(' ')}`),
  );
  const lines = ['rvos simulated engine 1', 'profiles []', ...ranges];
  const text = [...lines, ...tensors.map((tensor) => `tensor ${tensor}`), 'graph 0'];
  await writeFile(path, `${text.join('\n')}\n`);
  return path;
}

/** Engine files of the synthetic network, with the profiles of the real ones. */
export async function writeSyntheticEngines(
  folder: string,
): Promise<{ short: string; long: string; transformer: string }> {
  return {
    short: await writeBackbone(folder, 'short', limits.shortFrames),
    long: await writeBackbone(folder, 'long', limits.longFrames),
    transformer: await writeTransformer(folder),
  };
}

/** One profile for each number of windows. */
function writeBackbone(folder: string, name: string, frames: number): Promise<string> {
  const { height, width, windows } = limits;
  const tensors = [
    `input float16 frames -1 ${frames} 3 ${height} ${width}`,
    'input int32 frame_count -1',
    ...levels.map((level, i) => `output float16 level${i} -1 ${frames} ${level.join(' ')}`),
  ];
  const profiles = Array.from({ length: windows }, (_, i): Record<string, Range> => {
    const shape = [i + 1, frames, 3, height, width];
    return { frames: [shape, shape], frame_count: [[i + 1], [i + 1]] };
  });
  return writeEngine(folder, name, tensors, profiles);
}

/** One profile for each form. */
function writeTransformer(folder: string): Promise<string> {
  const { windows, sentences, tokens, textFeatures: d, objectQueries: n, kernelSize: k } = limits;
  const [, h0, w0] = levels[0];
  const tensors = [
    ...levels.map((level, i) => `input float16 level${i} -1 -1 ${level.join(' ')}`),
    'input int32 frame_count -1',
    `input float32 text_features -1 -1 ${d}`,
    'input int64 attention_mask -1 -1',
    'input int32 window_index -1',
    `output float32 referred_score -1 ${n}`,
    'output int32 query_index -1',
    `output float32 mask_kernels -1 -1 ${k}`,
    `output float32 all_mask_kernels -1 -1 ${n} ${k}`,
    `output float16 mask_features -1 -1 ${k} ${h0} ${w0}`,
  ];
  const profiles = [limits.shortFrames, limits.longFrames].map(
    (frames): Record<string, Range> => ({
      ...Object.fromEntries(
        levels.map((level, i): [string, Range] => [
          `level${i}`,
          [
            [1, frames, ...level],
            [windows, frames, ...level],
          ],
        ]),
      ),
      frame_count: [[1], [windows]],
      text_features: [
        [1, 2, d],
        [sentences, tokens, d],
      ],
      attention_mask: [
        [1, 2],
        [sentences, tokens],
      ],
      window_index: [[1], [sentences]],
    }),
  );
  return writeEngine(folder, 'transformer', tensors, profiles);
}
