import { readFile } from 'node:fs/promises';
import { expect, it } from 'vitest';
import { PullDisplay } from '../../src/cli/pull-progress.js';
import { knownModels } from '../../src/pull/known-models.js';
import { sourceText } from '../../src/pull/model-source.js';

/** What a display writes for progress at given seconds. */
function written(terminal: boolean, steps: readonly [number, Parameters<PullDisplay['update']>[0]][]): string {
  let time = 0;
  const texts: string[] = [];
  const display = new PullDisplay(
    false,
    terminal,
    (text) => texts.push(text),
    () => time * 1000,
  );
  for (const [seconds, progress] of steps) {
    time = seconds;
    display.update(progress);
  }
  display.stop();
  return texts.join('');
}

const downloading = (bytes: number) =>
  ({ phase: 'downloading', file: 'w.pt', bytes: bytes * 1e6, totalBytes: 600e6 }) as const;

it('is a line a minute without a terminal, with rate and remaining time, and one where something is tried again', () => {
  const steps = Array.from({ length: 130 }, (_, second) => [second, downloading(second * 2)] as [number, never]);
  const retry = { ...downloading(260), retry: 'the server answers 503; trying again in 4 s' };
  const hashing = { phase: 'verifying', file: 'w.pt', bytes: 600e6, totalBytes: 600e6 } as const;
  expect(written(false, [...steps, [130, retry], [131, hashing], [132, { ...hashing, phase: 'importing' }]])).toBe(
    [
      'downloading w.pt 0.0 kB of 600.0 MB 0 %',
      'downloading w.pt 120.0 MB of 600.0 MB 20 %, 2.0 MB/s, 4 min left',
      'downloading w.pt 240.0 MB of 600.0 MB 40 %, 2.0 MB/s, 3 min left',
      'the server answers 503; trying again in 4 s',
      'verifying w.pt',
      'importing\n',
    ].join('\n'),
  );
});

it('redraws one line on a terminal', () => {
  expect(
    written(true, [
      [0, downloading(0)],
      [0.1, downloading(1)],
      [2, downloading(4)],
    ]),
  ).toMatch(
    /^\rdownloading w\.pt 0\.0 kB of 600\.0 MB 0 % +\rdownloading w\.pt 4\.0 MB of 600\.0 MB 0 %, 2\.0 MB\/s, 5 min left +\n$/,
  );
});

it('the table of known models stands in the docs, sources and figures as they are', async () => {
  const text = await readFile(new URL('../../docs/models.md', import.meta.url), 'utf8');
  for (const { name, figures, sources } of knownModels) {
    const row = text.split('\n').find((line) => line.startsWith(`| \`${name}\` |`));
    expect(row).toContain(figures.replace('none published for', 'none for'));
    if (sources[0].kind === 'modelscope') expect(row).toContain(sourceText(sources[0]));
  }
});
