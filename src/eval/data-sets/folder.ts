import { existsSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { throwIfAborted } from '../../errors.js';
import { decodeMaskPng } from '../../masks/png.js';
import { openVideo } from '../../video/open-video.js';
import { badAnnotation } from '../annotations/bad-annotation.js';
import { readAnnotation } from '../annotations/read-annotation.js';
import { type DataSet, type Expression, isPlainName, type Sample, type SampleOptions } from '../data-set.js';

/** `sentences.json` of a clip. */
const sentencesSchema = z.array(
  z.object({
    text: z.string(),
    /** Folder of masks below the clip's; null: the sentence refers to nothing in the clip. */
    masks: z.string().nullable(),
  }),
);

/**
 * A folder of clips in rvos' own layout (docs/evaluation.md): each clip is a folder with `video.<ext>` or `frames/`,
 * `sentences.json`, and the masks of each sentence as `<frame 5 digits>.png`, 0/255, which is what
 * `rvos segment --masks DIR` writes. Throws `RvosError` BAD_DATA_SET when there is no clip.
 */
export async function openFolder(root: string): Promise<DataSet> {
  const entries = await readdir(root, { withFileTypes: true }).catch((cause: unknown) => {
    throw badAnnotation(root, 'cannot be listed', cause);
  });
  const clips = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  const found = clips.filter((clip) => existsSync(join(root, clip, 'sentences.json'))).sort();
  if (found.length === 0) throw badAnnotation(root, 'holds no folder with a sentences.json');
  return {
    size: found.length,
    async *samples(options) {
      for (const clip of clips.filter((name) => !found.includes(name) && !name.startsWith('.'))) {
        options.onProblem({ file: clip, record: clip, problem: 'has no sentences.json' });
      }
      for (const clip of found) {
        throwIfAborted(options.signal);
        const sample = await sampleOf(root, clip, options);
        if (sample && !options.isDone(sample.id)) yield sample;
      }
    },
  };
}

async function sampleOf(root: string, clip: string, options: SampleOptions): Promise<Sample | undefined> {
  const folder = join(root, clip);
  const file = `${clip}/sentences.json`;
  const bad = (record: string, problem: string) => void options.onProblem({ file, record, problem });
  const names = await readdir(folder);
  const video = names.find((name) => name === 'frames' || /^video\.[A-Za-z0-9]+$/.test(name));
  if (video === undefined) {
    return void options.onProblem({ file: clip, record: clip, problem: 'has neither video.<ext> nor frames/' });
  }
  let sentences: z.infer<typeof sentencesSchema>;
  try {
    sentences = sentencesSchema.parse(
      JSON.parse((await readAnnotation(join(folder, 'sentences.json'))).toString('utf8')),
    );
  } catch (error) {
    const why =
      error instanceof z.ZodError ? `${error.issues[0]?.path.map(String).join('.')}: ${error.issues[0]?.message}` : '';
    return void bad(clip, `is not of the form [{"text": …, "masks": folder or null}] ${why}`.trim());
  }
  const expressions: Expression[] = [];
  for (const [index, { text, masks }] of sentences.entries()) {
    const record = `sentence ${index}`;
    if (text.trim() === '') bad(record, 'the sentence is missing');
    else if (masks === null) expressions.push({ id: String(index), sentence: text, truth: 'absent' });
    else if (!masks.split('/').every(isPlainName)) bad(record, `"${masks.slice(0, 80)}" is no folder below the clip`);
    else {
      const numbers = await maskNumbers(join(folder, masks));
      if (numbers.size === 0) bad(record, `${masks} holds no masks`);
      else {
        const mask = async (frame: number) => {
          const name = numbers.get(frame);
          return name === undefined ? undefined : decodeMaskPng(await readAnnotation(join(folder, masks, name)));
        };
        expressions.push({ id: String(index), sentence: text, truth: 'masks', mask });
      }
    }
  }
  if (expressions.length === 0) return undefined;
  return {
    kind: 'track',
    id: clip,
    expressions,
    async *frames() {
      await using reader = await openVideo(join(folder, video), { ...(options.signal && { signal: options.signal }) });
      yield* reader.frames();
    },
  };
}

async function maskNumbers(folder: string): Promise<Map<number, string>> {
  const names = await readdir(folder).catch(() => []);
  return new Map(names.filter((name) => /^\d{1,8}\.png$/.test(name)).map((name) => [Number.parseInt(name, 10), name]));
}
