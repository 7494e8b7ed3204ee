import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { throwIfAborted } from '../../errors.js';
import { decodePicture } from '../../video/pictures/picture.js';
import { badAnnotation } from '../annotations/bad-annotation.js';
import { objectMask, readObjectMap } from '../annotations/palette-png.js';
import { readAnnotation } from '../annotations/read-annotation.js';
import { type DataSet, type Expression, isPlainName, type Sample, type SampleOptions } from '../data-set.js';

const metaSchema = z.object({
  videos: z.record(
    z.string(),
    z.object({
      frames: z.array(z.string()),
      expressions: z.record(
        z.string(),
        z.object({ exp: z.string(), obj_id: z.union([z.string(), z.number()]).optional() }),
      ),
    }),
  ),
});
type Video = z.infer<typeof metaSchema>['videos'][string];

export interface ReferYouTubeVosOptions {
  readonly root: string;
  /** `valid` has no public annotations: its masks go to the evaluation server. */
  readonly split: 'train' | 'valid';
}

/**
 * Refer-YouTube-VOS (Seo et al., ECCV 2020; model-spec §9.3). A sample is one video with all its expressions. The valid
 * list also names the videos of the test split: they are left out, as the original does. Throws `RvosError`
 * BAD_DATA_SET when the lists are not there or not of their form.
 */
export async function openReferYouTubeVos({ root, split }: ReferYouTubeVosOptions): Promise<DataSet> {
  const meta = (of: string) => join(root, 'meta_expressions', of, 'meta_expressions.json');
  const listed = await readMeta(meta(split));
  const tests = split === 'valid' && existsSync(meta('test')) ? await readMeta(meta('test')) : {};
  const videos = Object.entries(listed).filter(([video]) => !Object.hasOwn(tests, video));
  return {
    size: videos.length,
    async *samples(options) {
      for (const [video, description] of videos) {
        throwIfAborted(options.signal);
        const sample = sampleOf(root, split, video, description, options);
        if (sample && !options.isDone(sample.id)) yield sample;
      }
    },
  };
}

async function readMeta(path: string): Promise<Record<string, Video>> {
  const bytes = await readAnnotation(path);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw badAnnotation(path, 'is no JSON', cause);
  }
  const parsed = metaSchema.safeParse(value);
  if (parsed.success) return parsed.data.videos;
  const issue = parsed.error.issues[0];
  throw badAnnotation(path, `${issue?.path.map(String).join('.').slice(0, 200)}: ${issue?.message.slice(0, 200)}`);
}

function sampleOf(
  root: string,
  split: string,
  video: string,
  { frames, expressions }: Video,
  { onProblem, signal }: SampleOptions,
): Sample | undefined {
  const list = `meta_expressions/${split}/meta_expressions.json`;
  const bad = (record: string, problem: string) => onProblem({ file: list, record, problem });
  if (!isPlainName(video)) return void bad(video.slice(0, 80), 'is no video id');
  const folder = `${split}/JPEGImages/${video}`;
  if (!existsSync(join(root, folder))) return void onProblem({ file: folder, record: video, problem: 'no such video' });
  const names = [...frames].sort();
  if (names.length === 0) return void bad(video, 'the video has no frames');
  const absent = names.find((name) => !isPlainName(name) || !existsSync(join(root, folder, `${name}.jpg`)));
  if (absent !== undefined) {
    return void onProblem({
      file: `${folder}/${absent.slice(0, 80)}.jpg`,
      record: video,
      problem: 'the frame is missing',
    });
  }
  const hasTruth = existsSync(join(root, split, 'Annotations', video));
  if (split === 'train' && !hasTruth) {
    return void onProblem({ file: `${split}/Annotations/${video}`, record: video, problem: 'no annotations' });
  }
  const usable: Expression[] = [];
  for (const [id, { exp, obj_id: object }] of Object.entries(expressions)) {
    const record = `${video}, expression ${id}`;
    const number = Number(object);
    if (!isPlainName(id)) bad(record, 'is no expression id');
    else if (exp.trim() === '') bad(record, 'the sentence is missing');
    else if (!hasTruth) usable.push({ id, sentence: exp, truth: 'none' });
    else if (!Number.isInteger(number) || number < 1 || number > 255) bad(record, `"${object}" is no object id`);
    else {
      usable.push({
        ...{ id, sentence: exp, truth: 'masks' },
        mask: async (frame) => {
          const path = join(root, split, 'Annotations', video, `${names[frame]}.png`);
          return existsSync(path) ? objectMask(readObjectMap(await readAnnotation(path), path), number) : undefined;
        },
      });
    }
  }
  if (usable.length === 0) return undefined;
  return {
    kind: 'track',
    id: video,
    frameNames: names,
    expressions: usable,
    async *frames() {
      for (const [i, name] of names.entries()) {
        yield { ...(await decodePicture(join(root, folder, `${name}.jpg`), { signal })), time: i };
      }
    },
  };
}
