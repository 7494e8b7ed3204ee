import { spawnSync } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dataSetFolder, readJson, writeA2d, writeFolder, writeReferYouTubeVos } from '../support/data-sets.js';

const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;
let scratch: Awaited<ReturnType<typeof dataSetFolder>>;
const at = (name: string) => join(scratch.path, name);
beforeAll(async () => {
  scratch = await dataSetFolder();
  await Promise.all([writeA2d(at('a2d')), writeReferYouTubeVos(at('yt')), writeFolder(at('folder'))]);
});
afterAll(() => scratch.remove());

function rvos(...args: string[]) {
  const run = spawnSync(process.execPath, [entry, 'eval', ...args], { encoding: 'utf8' });
  return { code: run.status, out: run.stdout, err: run.stderr };
}

describe('rvos eval', () => {
  // What is checked is the way through the real network, not the figures.
  const common = () => ['--model', 'compact', '--backend', 'onnxruntime', '--json', '--quiet'];

  it('runs the product over a folder of clips and writes every output', async () => {
    const { code, out, err } = rvos('folder', '--root', at('folder'), '--out', at('out'), ...common());
    expect(err).toBe('');
    expect(code).toBe(0);
    const { figures, samples, problems, outputs } = JSON.parse(out);
    expect({ samples, problems }).toEqual({ samples: 2, problems: [] });
    expect(figures).toMatchObject({ expressions: 4, annotated: 3, absent: 1 });
    expect(figures.j_and_f).toBeGreaterThanOrEqual(0);
    expect(await readJson(outputs.summary)).toMatchObject({ figures, not_evaluated: 0 });
    expect(await readFile(outputs.report, 'utf8')).toContain('J&F');
    expect((await readFile(outputs.results, 'utf8')).split('\n')[0]).toContain('sample,id,sentence,score');
  });

  it('evaluates frames with every object query, and whole videos as one clip', async () => {
    const frames = rvos('a2d-sentences', '--root', at('a2d'), '--out', at('out-a2d'), '--limit', '1', ...common());
    expect(frames.err).toBe('');
    expect(JSON.parse(frames.out).figures).toMatchObject({ images: 2 });
    const journal = (await readFile(at('out-a2d/samples.jsonl'), 'utf8')).trim().split('\n');
    const record = JSON.parse(journal[1]!);
    const { num_queries: queries } = (
      (await readJson('models/compact/model.json')) as {
        architecture: { mttr: { num_queries: number } };
      }
    ).architecture.mttr;
    expect(record.images[0].coco.scores).toHaveLength(queries);
    const videos = rvos('refer-youtube-vos', '--root', at('yt'), '--out', at('out-yt'), '--no-pictures', ...common());
    expect(videos.err).toBe('');
    expect(JSON.parse(videos.out).outputs.submission).toBe(at('out-yt/submission.zip'));
  });

  it('says in one line what is wrong', () => {
    const missing = rvos('refer-youtube-vos', '--root', at('nowhere'), '--out', at('x'), ...common());
    expect(missing.code).toBe(1);
    expect(missing.err).toMatch(/^rvos: .*meta_expressions\.json: .*\n$/);
    const unknown = rvos('davis', '--root', '.', '--out', at('x'));
    expect([unknown.code, unknown.err]).toEqual([2, expect.stringContaining('data set davis is unknown')]);
    const whole = rvos('refer-youtube-vos', '--root', at('yt'), '--out', at('x'), '--backend', 'tensorrt');
    expect([whole.code, whole.err]).toEqual([2, expect.stringContaining('Add --protocol windows')]);
    const split = rvos('folder', '--root', at('folder'), '--out', at('x'), '--split', 'test');
    expect([split.code, split.err]).toEqual([2, expect.stringContaining('Leave --split out')]);
  });
});
