import { existsSync } from 'node:fs';
import { appendFile, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import yauzl from 'yauzl';
import { RvosError } from '../../src/errors.js';
import type { DataSet } from '../../src/eval/data-set.js';
import { openA2dSentences } from '../../src/eval/data-sets/a2d-sentences.js';
import { openFolder } from '../../src/eval/data-sets/folder.js';
import { windowAround } from '../../src/eval/data-sets/frame-window.js';
import { openJhmdbSentences } from '../../src/eval/data-sets/jhmdb-sentences.js';
import { openReferYouTubeVos } from '../../src/eval/data-sets/refer-youtube-vos.js';
import { type EvaluateOptions, type EvaluationResult, evaluate } from '../../src/eval/evaluate.js';
import { auroc, type FrameFigures, type TrackFigures } from '../../src/eval/summary.js';
import { Segmenter } from '../../src/segmenter.js';
import {
  ColourBackend,
  dataSetFolder,
  matFile,
  objectPixels,
  put,
  readJson,
  size,
  writeA2d,
  writeFolder,
  writeJhmdb,
  writeReferYouTubeVos,
} from '../support/data-sets.js';
import { fakeModel } from '../support/fake-backend.js';
import { rvosError } from '../support/videos.js';

let scratch: Awaited<ReturnType<typeof dataSetFolder>>;
const root = (name: string) => join(scratch.path, name);
beforeAll(async () => {
  scratch = await dataSetFolder();
  await Promise.all([
    writeA2d(root('a2d')),
    writeJhmdb(root('jhmdb')),
    writeReferYouTubeVos(root('yt')),
    writeFolder(root('folder')),
  ]);
});
afterAll(() => scratch.remove());

let outs = 0;
async function run(
  dataSet: DataSet,
  options: Partial<EvaluateOptions> = {},
  backend = new ColourBackend(),
): Promise<EvaluationResult & { out: string; backend: ColourBackend }> {
  const out = options.out ?? root(`out-${outs++}`);
  const segmenter = Segmenter.around(await fakeModel(), backend);
  const settings = {
    data_set: 'test',
    split: null,
    protocol: 'clip',
    model: 'fake',
    weights_sha256: '0',
    backend: 'fake',
    options: '',
  };
  const result = await evaluate({ segmenter, dataSet, settings, protocol: 'clip', ...options, out });
  return { ...result, out, backend };
}

describe('A2D-Sentences', () => {
  const open = (windowLength = 10, path = root('a2d')) => openA2dSentences({ root: path, split: 'test', windowLength });

  it('runs each annotated frame once for all its sentences, over a window of the published form', async () => {
    const dataSet = await open();
    expect(dataSet.size).toBe(4);
    const { figures, problems, backend, out } = await run(dataSet);
    expect(problems).toEqual([]);
    expect(backend.windows).toHaveLength(4);
    for (const { frames, options } of backend.windows) {
      expect(frames).toBe(10);
      expect(options).toMatchObject({ frames: [5], queries: 'all' });
      expect(options.preprocessing).toMatchObject({ shortSide: 320, longSide: 576, sizeRule: 'data-set' });
    }
    const found = figures as FrameFigures;
    // Three sentences of two test videos, two frames each; "1 (copy)", the train split and missed videos are left out.
    expect(found).toMatchObject({ images: 6, map: 1, overall_iou: 1, mean_iou: 1 });
    expect(found.precision_at['0.9']).toBe(1);
    const csv = await readFile(join(out, 'results.csv'), 'utf8');
    expect(csv.trim().split('\n')).toHaveLength(7);
    expect(csv).toContain('v_first_f_3_i_2,green square');
    expect((await readdir(join(out, 'pictures'))).filter((name) => name.endsWith('.jpg'))).toHaveLength(6);
    expect(await readFile(join(out, 'report.md'), 'utf8')).toMatch(/mAP 0\.5:0\.95 \| 1\.0000[\s\S]*## Worst/);
  });

  it('takes the window of the centre frame, its ends repeated', async () => {
    expect(windowAround(2, 10, 20)).toEqual([0, 0, 0, 0, 1, 2, 3, 4, 5, 6]);
    expect(windowAround(18, 10, 20)).toEqual([13, 14, 15, 16, 17, 18, 19, 19, 19, 19]);
    expect(windowAround(4, 5, 20)).toEqual([2, 3, 4, 5, 6]);
    const colours: number[][] = [];
    const dataSet = await open(5);
    for await (const sample of dataSet.samples({ onProblem: () => expect.unreachable(), isDone: () => false })) {
      if (sample.kind !== 'frame' || sample.id !== 'v_second_f_19') continue;
      expect(sample.centre).toBe(2);
      // The red square stands at 2 + t in row 3.
      colours.push(sample.frames.map(({ data }) => data.indexOf(230) / 3 - 3 * size.width - 2));
    }
    expect(colours).toEqual([[16, 17, 18, 19, 19]]);
  });

  it('names what cannot be evaluated, and goes on', async () => {
    const path = root('a2d-broken');
    await writeA2d(path);
    const masks = 'text_annotations/a2d_annotation_with_instances';
    await rm(join(path, 'Release/clips320H/second.mp4'));
    await put(path, `${masks}/first/00003.h5`, 'broken');
    await put(path, `${masks}/first/00030.h5`, await readFile(join(path, masks, 'first/00019.h5')));
    await appendFile(join(path, 'Release/videoset.csv'), '\nthird,1,0,0,32,48,20,2,7\n');
    await appendFile(
      join(path, 'text_annotations/a2d_annotation.txt'),
      ['elsewhere,1,red', 'first,x,red', 'first,1,', '../../etc,1,red', ''].join('\n'),
    );
    const { figures, problems } = await run(await open(10, path));
    expect((figures as FrameFigures).images).toBe(2);
    const told = problems.map(({ file, record, problem }) => `${file} ${record}: ${problem}`).join('\n');
    for (const expected of [
      /videoset\.csv line 4: unknown split "7"/,
      /a2d_annotation\.txt line 8: video elsewhere is not in videoset\.csv/,
      /line 9: "x" is no instance id/,
      /line 10: the sentence is missing/,
      /line 11: "\.\.\/\.\.\/etc" is no video id/,
      /first\/00003\.h5 v_first_f_3: .*is no readable HDF5 file/,
      /first\.mp4 v_first_f_30: the video has 20 frames only/,
      /second\.mp4 v_second_f_3: .*no such file/,
    ]) {
      expect(told).toMatch(expected);
    }
  });

  it('a root without the layout says what is missing', async () => {
    await expect(open(10, root('yt'))).rejects.toMatchObject(rvosError('BAD_DATA_SET'));
    await expect(open(10, root('yt'))).rejects.toThrow(/has no folder of videos \(looked for/);
  });
});

describe('JHMDB-Sentences', () => {
  const open = (path = root('jhmdb')) => openJhmdbSentences({ root: path, windowLength: 10 });

  it('evaluates the listed frames', async () => {
    const { figures, problems, backend } = await run(await open());
    expect(problems).toEqual([]);
    expect(figures).toMatchObject({ images: 3, map: 1, mean_iou: 1 });
    expect(backend.windows.map(({ frames }) => frames)).toEqual([10, 10, 10]);
  });

  it('names rows that lead nowhere', async () => {
    const path = root('jhmdb-broken');
    await writeJhmdb(path);
    const masks = Array.from({ length: 12 }, (_, t) =>
      t === 0 ? new Uint8Array(size.width * size.height) : objectPixels('red', t),
    );
    await put(path, 'puppet_mask/wave/clip/puppet_mask.mat', matFile('part_mask', masks));
    const name = join(path, 'jhmdb_sentences_samples_metadata.json');
    const rows = (await readJson(name)) as unknown[][];
    const [frame, mask] = [rows[0]![1], rows[0]![2]];
    rows.push(['clip', frame, 'puppet_mask/../../secret.mat', 12, 'red'], ['clip', '/etc/passwd', mask, 12, 'red']);
    rows.push(
      ['clip', frame, mask, 12, ' '],
      ['clip', frame, mask],
      ['clip', String(frame).replace('00001', '00040'), mask, 40, 'red'],
    );
    await writeFile(name, JSON.stringify(rows));
    const { figures, problems } = await run(await open(path));
    expect((figures as FrameFigures).images).toBe(2);
    const told = problems.map(({ record, problem }) => `${record}: ${problem}`).join('\n');
    for (const expected of [
      /row 0 .*: the mask is empty/,
      /row 3: .*no file below puppet_mask/,
      /row 4: .*no frame below Rename_Images/,
      /row 5: the sentence is missing/,
      /row 6: not of the form/,
      /row 7 .*has masks of 12 frames, none of frame 40/,
    ]) {
      expect(told).toMatch(expected);
    }
  });
});

describe('Refer-YouTube-VOS', () => {
  const open = (split: 'train' | 'valid', path = root('yt')) => openReferYouTubeVos({ root: path, split });

  it('measures J and F on annotated videos, each as one clip', async () => {
    const { figures, problems, backend } = await run(await open('train'));
    expect(problems).toEqual([]);
    expect(backend.windows).toMatchObject([{ frames: 4 }]);
    expect(figures).toMatchObject({ expressions: 2, annotated: 2, j: 1, f: 1, j_and_f: 1 });
  });

  it('makes the server’s ZIP of the valid split, without the videos of the test split', async () => {
    const { figures, outputs } = await run(await open('valid'), { submission: true });
    expect(figures).toMatchObject({ expressions: 2, annotated: 0, j_and_f: null });
    const names = await zipNames(outputs.submission!);
    const frames = ['00000', '00005', '00010', '00015'];
    expect(names).toEqual([0, 1].flatMap((e) => frames.map((frame) => `Annotations/judge/${e}/${frame}.png`)));
  });

  it('windows give the same masks through the schedule as deployed', async () => {
    const { figures, backend } = await run(await open('train'), { protocol: 'windows' });
    expect(figures).toMatchObject({ j_and_f: 1 });
    expect(backend.windows[0]!.options.preprocessing).not.toHaveProperty('sizeRule');
  });

  it('names absent frames, unknown objects and hostile names', async () => {
    const path = root('yt-broken');
    await writeReferYouTubeVos(path);
    const expressions = {
      0: { exp: 'red', obj_id: 'cat' },
      1: { exp: '', obj_id: '1' },
      '../2': { exp: 'red', obj_id: '1' },
    };
    const videos = {
      learn: { frames: ['00000', '00005'], expressions },
      absent: { frames: ['00000'], expressions },
      '../learn': { frames: ['00000'], expressions },
      empty: { frames: [], expressions },
    };
    await put(path, 'meta_expressions/train/meta_expressions.json', JSON.stringify({ videos }));
    const { figures, problems } = await run(await open('train', path));
    expect(figures).toBeUndefined();
    const told = problems.map(({ file, record, problem }) => `${file} ${record}: ${problem}`).join('\n');
    for (const expected of [
      /learn, expression 0: "cat" is no object id/,
      /learn, expression 1: the sentence is missing/,
      /learn, expression \.\.\/2: is no expression id/,
      /JPEGImages\/absent absent: no such video/,
      /\.\.\/learn: is no video id/,
    ]) {
      expect(told).toMatch(expected);
    }
    await put(path, 'meta_expressions/train/meta_expressions.json', '{"videos": {"x": 3}}');
    await expect(open('train', path)).rejects.toMatchObject(rvosError('BAD_DATA_SET'));
  });
});

describe('a folder of clips', () => {
  it('measures annotated frames, and masks of sentences that refer to nothing', async () => {
    const { figures, problems, backend } = await run(await openFolder(root('folder')), { protocol: 'windows' });
    expect(problems).toEqual([]);
    expect(figures as TrackFigures).toMatchObject({
      ...{ expressions: 4, annotated: 3, j: 1, f: 1, j_and_f: 1 },
      ...{ absent: 1, false_masks: 0, missed: 0, auroc: 1 },
    });
    // 30 frames by windows of 24 with overlap 6, then a clip of 3 pictures.
    expect(backend.windows.map(({ frames }) => frames)).toEqual([24, 12, 3]);
  });

  it('names broken clips', async () => {
    const path = root('folder-broken');
    await writeFolder(path);
    await put(path, 'no-list/frames/0.png', '');
    await put(path, 'bad-list/sentences.json', '[{"text": 3}]');
    await put(path, 'bad-list/frames/0.png', '');
    await put(
      path,
      'two/sentences.json',
      JSON.stringify([
        { text: 'red', masks: '../one/masks/red' },
        { text: '', masks: null },
        { text: 'x', masks: 'none' },
      ]),
    );
    await rm(join(path, 'one/video.mkv'));
    await expect(run(await openFolder(path))).resolves.toMatchObject({ samples: 0, figures: undefined });
    const { problems } = await run(await openFolder(path));
    const told = problems.map(({ file, record, problem }) => `${file} ${record}: ${problem}`).join('\n');
    for (const expected of [
      /no-list.*has no sentences\.json/,
      /bad-list\/sentences\.json bad-list: is not of the form/,
      /two\/sentences\.json sentence 0: .*no folder below the clip/,
      /sentence 1: the sentence is missing/,
      /sentence 2: none holds no masks/,
      /one one: has neither video/,
    ]) {
      expect(told).toMatch(expected);
    }
  });
});

describe('an evaluation that is interrupted', () => {
  it('goes on where it stopped and ends with the same figures', async () => {
    const whole = await run(await openA2dSentences({ root: root('a2d'), split: 'test', windowLength: 10 }));
    const controller = new AbortController();
    const backend = new ColourBackend();
    backend.before = (window) => {
      if (window === 2) controller.abort();
    };
    const out = root('interrupted');
    const open = () => openA2dSentences({ root: root('a2d'), split: 'test', windowLength: 10 });
    await expect(run(await open(), { out, signal: controller.signal }, backend)).rejects.toMatchObject(
      rvosError('ABORTED'),
    );
    const journal = await readFile(join(out, 'samples.jsonl'), 'utf8');
    expect(journal.trim().split('\n').length).toBeLessThan(5);
    // A crash in the middle of a line.
    await appendFile(join(out, 'samples.jsonl'), '{"kind":"frame","id":"v_sec');
    const rest = await run(await open(), { out });
    expect(rest.backend.windows.length).toBeGreaterThan(0);
    expect(rest.backend.windows.length).toBeLessThan(4);
    expect(rest.figures).toEqual(whole.figures);
    expect(rest.samples).toBe(4);
    const again = await run(await open(), { out });
    expect(again.backend.windows).toEqual([]);
    expect(again.figures).toEqual(whole.figures);
  });

  it('never goes on from another evaluation, unless it may begin anew', async () => {
    const out = root('other');
    const first = await run(await openFolder(root('folder')), { out });
    const settings = {
      ...{ data_set: 'other', split: null, protocol: 'clip', model: 'fake' },
      ...{ weights_sha256: '1', backend: 'fake', options: '' },
    };
    const open = await openFolder(root('folder'));
    await expect(run(open, { out, settings })).rejects.toMatchObject(rvosError('OUTPUT_EXISTS'));
    const anew = await run(await openFolder(root('folder')), { out, settings, force: true });
    expect(anew.figures).toEqual(first.figures);
    expect(anew.backend.windows).toHaveLength(first.backend.windows.length);
  });

  it('a sample that fails is counted, not skipped; what every sample would share ends the evaluation', async () => {
    const open = () => openJhmdbSentences({ root: root('jhmdb'), windowLength: 10 });
    const backend = new ColourBackend();
    let calls = 0;
    backend.before = () => {
      if (calls++ === 1) throw new RvosError('OUT_OF_MEMORY', 'not enough memory', 'Buy some.');
    };
    const { samples, problems } = await run(await open(), {}, backend);
    expect(samples).toBe(2);
    expect(problems).toEqual([{ file: 'v_clip_f_6', record: 'v_clip_f_6', problem: 'not enough memory. Buy some.' }]);
    backend.before = () => {
      throw new RvosError('BACKEND_UNAVAILABLE', 'no GPU', 'Buy one.');
    };
    await expect(run(await open(), {}, backend)).rejects.toMatchObject(rvosError('BACKEND_UNAVAILABLE'));
  });

  it('respects the limit', async () => {
    const { samples, backend } = await run(await openFolder(root('folder')), { limit: 1, pictures: false });
    expect([samples, backend.windows.length]).toEqual([1, 1]);
    expect(existsSync(join(root(`out-${outs - 1}`), 'pictures'))).toBe(false);
  });
});

it('AUROC counts ties by half', () => {
  expect(auroc([0.9, 0.8], [0.1, 0.2])).toBe(1);
  expect(auroc([0.5], [0.5])).toBe(0.5);
  expect(auroc([0.2, 0.9], [0.5, 0.9])).toBe(0.375);
  expect(auroc([], [0.5])).toBeNull();
});

async function zipNames(path: string): Promise<string[]> {
  const names: string[] = [];
  await new Promise<void>((resolve, reject) => {
    yauzl.open(path, (error, zip) => {
      if (error) return reject(error);
      zip.on('entry', (entry: { fileName: string }) => names.push(entry.fileName));
      zip.on('end', resolve);
      zip.on('error', reject);
    });
  });
  return names;
}
