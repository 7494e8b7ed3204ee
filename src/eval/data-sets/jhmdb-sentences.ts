import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { describeError, throwIfAborted } from '../../errors.js';
import type { Mask } from '../../masks/mask.js';
import { maskStatistics } from '../../masks/statistics.js';
import type { RgbFrame } from '../../video/frame.js';
import { decodePicture } from '../../video/pictures/picture.js';
import { badAnnotation, maxAnnotationPixels } from '../annotations/bad-annotation.js';
import { columnMajorMask } from '../annotations/column-major-mask.js';
import { type MatArray, readMatArray } from '../annotations/mat-file.js';
import { readAnnotation } from '../annotations/read-annotation.js';
import { type DataSet, isPlainName, type SampleOptions } from '../data-set.js';
import { sameSizeTargets } from './a2d-sentences.js';
import { anyOf } from './annotation-table.js';
import { centreOf, windowAround } from './frame-window.js';

/** The samples of the published evaluation: three frames of each video, drawn once. */
const sampleTables = [
  'jhmdb_sentences_samples_metadata.json',
  'text_annotations/jhmdb_sentences_samples_metadata.json',
];
const rowSchema = z.tuple([z.string(), z.string(), z.string(), z.number().int().positive().max(100_000), z.string()]);

export interface JhmdbOptions {
  readonly root: string;
  /** Frames of a window; published: 10 (and 8). */
  readonly windowLength: number;
}

interface Row {
  readonly record: string;
  readonly video: string;
  /** `Rename_Images/<action>/<video>` below the root. */
  readonly folder: string;
  readonly maskFile: string;
  /** Frame number, from 1. */
  readonly frame: number;
  readonly frameCount: number;
  readonly sentence: string;
}

/**
 * JHMDB-Sentences (Gavrilyuk et al., CVPR 2018; model-spec §9.2): the frames listed in
 * `jhmdb_sentences_samples_metadata.json`, rows of [video, frame file, mask file, frames of the video, sentence]. Throws
 * `RvosError` BAD_DATA_SET when the table is not there or not of that form.
 */
export async function openJhmdbSentences({ root, windowLength }: JhmdbOptions): Promise<DataSet> {
  const table = anyOf(sampleTables, (path) => existsSync(join(root, path)), 'table of samples', root);
  const problems: Parameters<SampleOptions['onProblem']>[0][] = [];
  const rows = parseRows(await readAnnotation(join(root, table)), join(root, table)).flatMap((row, index) => {
    const record = `row ${index}`;
    const parsed = typeof row === 'string' ? row : parseRow(row, record);
    if (typeof parsed !== 'string') return [parsed];
    problems.push({ file: table, record, problem: parsed });
    return [];
  });
  return {
    size: rows.length,
    async *samples(options) {
      for (const problem of problems) options.onProblem(problem);
      const masks = new Map<string, MatArray>();
      for (const row of rows) {
        throwIfAborted(options.signal);
        const id = `v_${row.video}_f_${row.frame}`;
        if (options.isDone(id)) continue;
        const fail = (file: string, problem: string) =>
          options.onProblem({ file, record: `${row.record} (${id})`, problem });
        let truth: Mask;
        try {
          // Rows of one video follow one another: its masks are read once.
          if (!masks.has(row.maskFile)) {
            masks.clear();
            const path = join(root, row.maskFile);
            masks.set(row.maskFile, readMatArray(await readAnnotation(path), 'part_mask', path));
          }
          truth = maskOfFrame(masks.get(row.maskFile)!, row.frame, row.maskFile);
        } catch (error) {
          fail(row.maskFile, describeError(error));
          continue;
        }
        if (maskStatistics(truth).area === 0) {
          fail(row.maskFile, 'the mask is empty');
          continue;
        }
        let frames: RgbFrame[];
        try {
          frames = await readWindow(root, row, windowLength, options.signal);
        } catch (error) {
          throwIfAborted(options.signal);
          fail(row.folder, describeError(error));
          continue;
        }
        const targets = sameSizeTargets([{ image: id, sentence: row.sentence, truth }], frames[0]!, (_, problem) =>
          fail(row.maskFile, problem),
        );
        if (targets.length > 0) yield { kind: 'frame', id, frames, centre: centreOf(windowLength), targets };
      }
    },
  };
}

function parseRows(bytes: Buffer, path: string): (z.infer<typeof rowSchema> | string)[] {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw badAnnotation(path, 'is no JSON', cause);
  }
  if (!Array.isArray(value)) throw badAnnotation(path, 'is no list of samples');
  return value.map((row) => {
    const parsed = rowSchema.safeParse(row);
    return parsed.success ? parsed.data : 'not of the form [video, frame file, mask file, frames, sentence]';
  });
}

/** Paths in the table begin wherever its author kept the data: only what follows the known folders counts. */
function parseRow([video, frameFile, maskFile, frameCount, sentence]: z.infer<typeof rowSchema>, record: string) {
  const below = (path: string, folder: string) => {
    const parts = path.replaceAll('\\', '/').split('/');
    const at = parts.lastIndexOf(folder);
    return at >= 0 && parts.slice(at).every(isPlainName) ? parts.slice(at).join('/') : undefined;
  };
  const frame = below(frameFile, 'Rename_Images');
  const mask = below(maskFile, 'puppet_mask');
  const number = /(\d{1,8})\.png$/.exec(frameFile)?.[1];
  if (frame === undefined || number === undefined)
    return `"${frameFile.slice(0, 120)}" is no frame below Rename_Images`;
  if (mask === undefined) return `"${maskFile.slice(0, 120)}" is no file below puppet_mask`;
  if (sentence.trim() === '') return 'the sentence is missing';
  const row: Row = {
    ...{ record, video, frameCount, sentence },
    ...{ folder: dirname(frame), maskFile: mask, frame: Number(number) },
  };
  return row;
}

/** `part_mask` [H,W,n]: the parts of a puppet, any of which is the person. */
function maskOfFrame(parts: MatArray, frame: number, file: string): Mask {
  const [height = 0, width = 0, frames = 1] = parts.shape;
  if (height * width === 0 || height * width > maxAnnotationPixels) {
    throw badAnnotation(file, `masks of ${width}x${height} pixels`);
  }
  if (frame > frames) throw badAnnotation(file, `has masks of ${frames} frames, none of frame ${frame}`);
  const from = (frame - 1) * width * height;
  return columnMajorMask((index) => parts.at(from + index), width, height);
}

async function readWindow(root: string, row: Row, length: number, signal?: AbortSignal): Promise<RgbFrame[]> {
  const names = new Set(await readdir(join(root, row.folder)));
  const pictures = new Map<number, RgbFrame>();
  const frames: RgbFrame[] = [];
  for (const index of windowAround(row.frame - 1, length, row.frameCount)) {
    let picture = pictures.get(index);
    if (!picture) {
      const name = `${String(index + 1).padStart(5, '0')}.png`;
      if (!names.has(name)) throw badAnnotation(`${row.folder}/${name}`, 'is missing');
      picture = { ...(await decodePicture(join(root, row.folder, name), { signal })), time: index };
      pictures.set(index, picture);
    }
    frames.push(picture);
  }
  return frames;
}
