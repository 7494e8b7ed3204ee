import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { describeError, throwIfAborted } from '../../errors.js';
import { maskStatistics } from '../../masks/statistics.js';
import { openVideo } from '../../video/open-video.js';
import { type AnnotatedObjects, readHdf5Masks } from '../annotations/hdf5-masks.js';
import { readAnnotation } from '../annotations/read-annotation.js';
import { type DataSet, type FrameTarget, isPlainName, type Sample, type SampleOptions } from '../data-set.js';
import { anyOf, readTable } from './annotation-table.js';
import { centreOf, windowsOf } from './frame-window.js';

/** Names that the original code, its README and ModelScope use for the same things. */
const videoFolders = ['Release/clips320H', 'Release/CLIPS320'];
const tables = ['text_annotations/a2d_annotation.txt', 'text_annotations/annotation.txt', 'annotation.txt'];
const missedTables = [
  'text_annotations/a2d_missed_videos.txt',
  'text_annotations/missed_videos.txt',
  'missed_videos.txt',
];
const maskFolders = [
  'text_annotations/a2d_annotation_with_instances',
  'text_annotations/annotation_with_instances',
  'annotation_with_instances',
];
const splits = { train: '0', test: '1' } as const;

export interface A2dOptions {
  readonly root: string;
  readonly split: keyof typeof splits;
  /** Frames of a window; published: 10 (and 8). */
  readonly windowLength: number;
}

interface Sentence {
  readonly instance: number;
  readonly text: string;
}

interface Layout {
  readonly videoFolder: string;
  readonly table: string;
  readonly maskFolder: string;
}

/**
 * A2D-Sentences (Gavrilyuk et al., CVPR 2018; model-spec §9.1). A sample is one annotated frame with all sentences about
 * its objects. Throws `RvosError` BAD_DATA_SET when the layout is not there.
 */
export async function openA2dSentences({ root, split, windowLength }: A2dOptions): Promise<DataSet> {
  const at = (candidates: string[], what: string) =>
    anyOf(candidates, (path) => existsSync(join(root, path)), what, root);
  const layout: Layout = {
    videoFolder: at(videoFolders, 'folder of videos'),
    table: at(tables, 'table of sentences'),
    maskFolder: at(maskFolders, 'folder of masks'),
  };
  const problems: Parameters<SampleOptions['onProblem']>[0][] = [];
  const subsets = new Map<string, string>();
  for (const { line, fields } of await readTable(join(root, 'Release/videoset.csv'))) {
    const subset = fields[8] ?? '';
    if (subset !== splits.train && subset !== splits.test) {
      problems.push({ file: 'Release/videoset.csv', record: `line ${line}`, problem: `unknown split "${subset}"` });
    } else subsets.set(fields[0]!, subset);
  }
  const missedFile = missedTables.find((path) => existsSync(join(root, path)));
  const missed = new Set(missedFile ? (await readTable(join(root, missedFile))).map(({ fields }) => fields[0]) : []);
  const videos = new Map<string, Sentence[]>();
  for (const { line, fields } of await readTable(join(root, layout.table), ['video_id', 'instance_id', 'query'])) {
    const [video = '', instance = '', text = ''] = fields;
    const problem = (what: string) => problems.push({ file: layout.table, record: `line ${line}`, problem: what });
    // The original drops these two kinds without a word.
    if (missed.has(video) || instance === '1 (copy)') continue;
    if (!isPlainName(video)) problem(`"${video.slice(0, 80)}" is no video id`);
    else if (!subsets.has(video)) problem(`video ${video} is not in videoset.csv`);
    else if (subsets.get(video) !== splits[split]) continue;
    else if (!/^\d+$/.test(instance)) problem(`"${instance.slice(0, 40)}" is no instance id`);
    else if (text === '') problem('the sentence is missing');
    else videos.set(video, [...(videos.get(video) ?? []), { instance: Number(instance), text }]);
  }
  const frames = new Map<string, number[]>();
  for (const video of videos.keys()) {
    const names = await readdir(join(root, layout.maskFolder, video)).catch(() => []);
    const numbers = names.filter((name) => /^\d{1,8}\.h5$/.test(name)).map((name) => Number.parseInt(name, 10));
    if (numbers.length === 0) {
      problems.push({ file: `${layout.maskFolder}/${video}`, record: video, problem: 'no annotated frames' });
    }
    frames.set(
      video,
      numbers.sort((a, b) => a - b),
    );
  }
  const size = [...frames.values()].reduce((sum, numbers) => sum + numbers.length, 0);
  return {
    size,
    async *samples(options) {
      for (const problem of problems) options.onProblem(problem);
      for (const [video, sentences] of videos) {
        throwIfAborted(options.signal);
        yield* samplesOf(root, layout, video, sentences, frames.get(video)!, windowLength, options);
      }
    },
  };
}

async function* samplesOf(
  root: string,
  layout: Layout,
  video: string,
  sentences: readonly Sentence[],
  numbers: readonly number[],
  windowLength: number,
  { onProblem, isDone, signal }: SampleOptions,
): AsyncGenerator<Sample, void, undefined> {
  const sampleId = (frame: number) => `v_${video}_f_${frame}`;
  const targets = new Map<number, FrameTarget[]>();
  // Annotations of samples that are done are read again all the same: what is wrong with them is told by every run.
  for (const frame of numbers) {
    const file = `${layout.maskFolder}/${video}/${String(frame).padStart(5, '0')}.h5`;
    try {
      const path = join(root, file);
      const found = targetsOf(video, frame, sentences, await readHdf5Masks(await readAnnotation(path), path));
      for (const { image } of found.empty) onProblem({ file, record: image, problem: 'the mask is empty' });
      if (found.targets.length > 0 && !isDone(sampleId(frame))) targets.set(frame, found.targets);
    } catch (error) {
      onProblem({ file, record: sampleId(frame), problem: describeError(error) });
    }
  }
  if (targets.size === 0) return;
  const file = `${layout.videoFolder}/${video}.mp4`;
  const centres = [...targets.keys()].map((frame) => frame - 1);
  const given = new Set<number>();
  try {
    await using reader = await openVideo(join(root, file), { ...(signal && { signal }) });
    const beyond = (centre: number, count: number) => {
      given.add(centre);
      onProblem({ file, record: sampleId(centre + 1), problem: `the video has ${count} frames only` });
    };
    for await (const { centre, frames } of windowsOf(reader.frames(), centres, windowLength, beyond)) {
      given.add(centre);
      const frame = centre + 1;
      const sized = sameSizeTargets(targets.get(frame)!, frames[0]!, (image, problem) =>
        onProblem({ file, record: image, problem }),
      );
      if (sized.length > 0) {
        yield { kind: 'frame', id: sampleId(frame), frames, centre: centreOf(windowLength), targets: sized };
      }
    }
  } catch (error) {
    throwIfAborted(signal);
    for (const centre of centres) {
      if (!given.has(centre)) onProblem({ file, record: sampleId(centre + 1), problem: describeError(error) });
    }
  }
}

function targetsOf(video: string, frame: number, sentences: readonly Sentence[], objects: AnnotatedObjects) {
  const targets: FrameTarget[] = [];
  const empty: FrameTarget[] = [];
  for (const { instance, text } of sentences) {
    const position = objects.instances.indexOf(instance);
    // An object that is not in this frame: no sample, by definition.
    if (position < 0) continue;
    const target = {
      image: `v_${video}_f_${frame}_i_${instance}`,
      sentence: text,
      truth: objects.masks[position]!,
      box: objects.boxes[position]!,
    };
    (maskStatistics(target.truth).area === 0 ? empty : targets).push(target);
  }
  return { targets, empty };
}

/** Masks must have the size of the frames they were drawn on. */
export function sameSizeTargets(
  targets: readonly FrameTarget[],
  { width, height }: { readonly width: number; readonly height: number },
  onProblem: (image: string, problem: string) => void,
): FrameTarget[] {
  return targets.filter(({ image, truth }) => {
    const fits = truth.width === width && truth.height === height;
    if (!fits) onProblem(image, `the mask has ${truth.width}x${truth.height} pixels, the frame ${width}x${height}`);
    return fits;
  });
}
