import { spawnSync } from 'node:child_process';
import { copyFile, link, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { RvosError } from '../../src/errors.js';
import { checkFreeSpace } from '../../src/results/check-free-space.js';
import { drainInto, type FrameSink, OutputError } from '../../src/results/frame-sink.js';
import {
  contactSheetOutput,
  cutOutsOutput,
  maskedVideoOutput,
  masksOutput,
  type OutputOpener,
} from '../../src/results/outputs.js';
import { Segmenter } from '../../src/segmenter.js';
import { FakeBackend, fakeModel } from '../support/fake-backend.js';
import { goldenPath } from '../support/safetensors.js';
import { smallFileSystem } from '../support/small-disk.js';

const clip = goldenPath('e2e/clip_rgb_lossless.mp4');
const picture = join(import.meta.dirname, '../field-cases/photo.jpg');
let folder: string;
let backend: FakeBackend;
const at = (name: string) => join(folder, name);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-checked-'));
  backend = new FakeBackend();
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(folder, { recursive: true });
});

async function run(openers: readonly OutputOpener[], video = clip, onWarning?: (warning: string) => void) {
  const segmenter = Segmenter.around(await fakeModel(), backend);
  return drainInto(segmenter.stream(video, ['a ball', 'a car']), openers, { ...(onWarning && { onWarning }) });
}
const force = { force: true };

describe('the name of an output', () => {
  it.each([
    ['a masked video', maskedVideoOutput, ['a.webm', 'a.gif', 'a.mkv', 'a.avi', 'a.mov', '-', '']],
    ['masks', masksOutput, ['a.npy', 'a.npz', 'a.png', 'a.zip', 'a.mp4', '-', '']],
    ['a contact sheet', contactSheetOutput, ['a.jpg', 'a.jpeg', 'a.webp', 'a.pdf', '-', '']],
    ['cut-outs', (path: string) => cutOutsOutput(0, path), ['a.mp4', 'a.gif', 'a.png', 'a.mov', '-', '']],
  ])('of %s that means another format is refused', (_, output, names) => {
    for (const name of names) {
      expect(() => output(name), name).toThrow(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
    }
  });

  it('that fits, or says nothing, is honoured', async () => {
    const openers = [
      maskedVideoOutput(at('a.M4V')),
      masksOutput(at('b.JSON')),
      masksOutput(at('c.v2')),
      contactSheetOutput(at('d')),
      cutOutsOutput(1, at('e.webm')),
      cutOutsOutput(1, `${at('f.png')}/`),
    ];
    await run(openers);
    expect((await readdir(folder)).sort()).toEqual(['a.M4V', 'b.JSON', 'c.v2', 'd', 'e.webm', 'f.png']);
  });
});

describe('an output that is the input', () => {
  beforeEach(async () => {
    await copyFile(clip, at('in.mp4'));
    await symlink(at('in.mp4'), at('soft.mp4'));
    await link(at('in.mp4'), at('hard.mp4'));
  });
  const refused = expect.objectContaining({ code: 'BAD_ARGUMENT', message: expect.stringMatching(/is read/) });

  it('is refused, links included, also with force', async () => {
    const before = await readFile(at('in.mp4'));
    for (const [input, output] of [
      ['in.mp4', 'in.mp4'],
      ['in.mp4', 'soft.mp4'],
      ['in.mp4', 'hard.mp4'],
      ['soft.mp4', 'in.mp4'],
    ] as const) {
      await expect(run([maskedVideoOutput(at(output), force)], at(input)), `${input} ${output}`).rejects.toEqual(
        refused,
      );
    }
    expect(backend.windows).toEqual([]);
    expect(await readFile(at('in.mp4'))).toEqual(before);
  });

  it('is refused where it is standard input, a picture of an image folder, the folder, or one around it', async () => {
    const entry = new URL('../../dist/cli/main.js', import.meta.url).pathname;
    const script = '"$0" "$1" segment - "a ball" --masked-video "$2" --force < "$2"';
    const piped = spawnSync('sh', ['-c', script, process.execPath, entry, at('in.mp4')], { encoding: 'utf8' });
    expect(piped).toMatchObject({ status: 2, stderr: expect.stringMatching(/^rvos: the masked video would replace/) });

    await mkdir(at('0'));
    for (const name of ['00000.png', '00001.png']) await copyFile(picture, at(`0/${name}`));
    const outputs = [contactSheetOutput(at('0/00001.png'), force), cutOutsOutput(0, at('0'), force)];
    for (const output of outputs) await expect(run([output], at('0'))).rejects.toEqual(refused);
    await mkdir(at('masks'));
    await mkdir(at('masks/0'));
    await copyFile(picture, at('masks/0/00000.png'));
    await expect(run([masksOutput(at('masks'), force)], at('masks/0'))).rejects.toEqual(refused);
  });

  it('is refused by a result, too', async () => {
    await using result = await Segmenter.around(await fakeModel(), backend).segment(at('in.mp4'), 'a ball');
    await expect(result.saveMaskedVideo(at('hard.mp4'), force)).rejects.toEqual(refused);
  });
});

describe('outputs in each other’s way', () => {
  it.each([
    ['of one name', [masksOutput, contactSheetOutput], ['same', 'same']],
    ['of one name by a link', [maskedVideoOutput, contactSheetOutput], ['real', 'link']],
    ['one inside the other', [masksOutput, contactSheetOutput], ['masks', 'masks/sheet.png']],
    ['one inside the other, the other way round', [contactSheetOutput, masksOutput], ['masks/sheet.png', 'masks']],
  ])('are refused: %s', async (_, outputs, names) => {
    await mkdir(at('masks'));
    await writeFile(at('real'), '');
    await symlink(at('real'), at('link'));
    const openers = outputs.map((output, i) => output(at(names[i]!), force));
    await expect(run(openers)).rejects.toEqual(expect.objectContaining({ code: 'BAD_ARGUMENT' }));
    expect(backend.windows).toEqual([]);
  });
});

describe('an encoder that is missing', () => {
  it('is told before the first window', async () => {
    const path = at('ffmpeg');
    // Lists no encoder that MP4 or WebM need.
    await writeFile(
      path,
      '#!/bin/sh\ncase "$*" in *-encoders*) echo " ------"; echo " V..... ffv1 x";; *) exec ffmpeg "$@";; esac\n',
      {
        mode: 0o755,
      },
    );
    vi.stubEnv('RVOS_FFMPEG', path);
    for (const output of [maskedVideoOutput(at('a.mp4')), cutOutsOutput(0, at('a.webm'))]) {
      await expect(run([output])).rejects.toEqual(expect.objectContaining({ code: 'FFMPEG_FAILED' }));
    }
    expect(backend.windows).toEqual([]);
  });
});

describe('free space', () => {
  const extent = { width: 1920, height: 1080, sentences: 2, frames: 1000 };
  const needed = 0.03 * 1920 * 1080 * 1000;
  const { output } = maskedVideoOutput('out.mp4');
  const disk = (free: number) => async () => ({ name: 1, free });

  it('under the estimate is a warning, under a tenth of it an error', async () => {
    expect(await checkFreeSpace([output], extent, disk(needed + 1))).toEqual([]);
    expect(await checkFreeSpace([output], extent, disk(needed / 2))).toEqual([
      expect.stringMatching(/^the outputs need about 62\.2 MB in .*, where 31\.1 MB are free: it may not be enough$/),
    ]);
    await expect(checkFreeSpace([output], extent, disk(needed / 11))).rejects.toMatchObject({ code: 'DISK_FULL' });
  });

  it('is that for all outputs of one disk together, and for what lies in the temporary directory', async () => {
    expect(await checkFreeSpace([output, output], extent, disk(1.5 * needed))).toHaveLength(1);
    const { output: masks } = masksOutput('masks.json');
    const folders: string[] = [];
    const two = async (folder: string) => ({ name: folders.push(folder), free: 1e6 });
    expect(await checkFreeSpace([masks], extent, two)).toHaveLength(2);
    expect(folders).toEqual([process.cwd(), tmpdir()]);
  });

  it('is unknown for a video whose length is unknown', async () => {
    expect(await checkFreeSpace([output], { ...extent, frames: 0 }, disk(0))).toEqual([]);
  });

  it('of a real disk is told before the first window, with the warning at once', async () => {
    const small = await smallFileSystem(4);
    // Where mounting is not allowed the checks above stand for it.
    if (!small) return;
    try {
      const path = join(small.folder, 'cut');
      // 40 frames of 96×64: at least a block each.
      small.leave(100_000);
      const warnings: string[] = [];
      const tell = vi.fn((warning: string) => {
        expect(backend.windows).toEqual([]);
        warnings.push(warning);
      });
      await run([cutOutsOutput(0, path)], clip, tell).catch(() => undefined);
      expect(warnings).toEqual([expect.stringMatching(/^the outputs need about 163\.8 kB in .* are free/)]);
      backend.windows.length = 0;
      small.leave(4096);
      await expect(run([cutOutsOutput(0, `${path}2`)])).rejects.toMatchObject({ code: 'DISK_FULL' });
      expect(backend.windows).toEqual([]);
    } finally {
      await small.remove();
    }
  });
});

describe('an output that fails late', () => {
  /** An output whose sink fails at a frame, or when it is finished. */
  function failing(name: string, when: number | 'finish', error: Error, aborted: string[] = []): OutputOpener {
    const fail = async () => {
      throw error;
    };
    const sink: FrameSink = {
      write: async ({ index }) => (index === when ? fail() : undefined),
      finish: async () => (when === 'finish' ? fail() : undefined),
      abort: async () => void aborted.push(name),
    };
    return Object.assign(async () => sink, { output: contactSheetOutput(at(name)).output });
  }
  const full = new RvosError('DISK_FULL', 'no space left while writing bad', 'Free some.');

  it.each([7, 'finish'] as const)('does not take the others with it: at %s', async (when) => {
    const aborted: string[] = [];
    const good = [masksOutput(at('m.json')), maskedVideoOutput(at('v.mp4')), contactSheetOutput(at('s.png'))];
    const error = await run([good[0]!, failing('bad', when, full, aborted), good[1]!, good[2]!]).catch(
      (e: unknown) => e,
    );
    expect(error).toBeInstanceOf(OutputError);
    expect(error).toMatchObject({
      code: 'DISK_FULL',
      message: full.message,
      hint: `Free some. Complete: ${at('m.json')}, ${at('v.mp4')}, ${at('s.png')}.`,
      failures: [{ path: at('bad'), error: full }],
      summary: { video: { frames: 40 } },
    });
    expect(aborted).toEqual(['bad']);
    expect((await readdir(folder)).sort()).toEqual(['m.json', 's.png', 'v.mp4']);
    expect(JSON.parse(await readFile(at('m.json'), 'utf8')).masks[1]).toHaveLength(40);
  });

  it('ends the run where none is left', async () => {
    const two = [failing('a', 3, full), failing('b', 5, full)];
    await expect(run(two)).rejects.toBe(full);
    expect(backend.windows.length).toBeLessThan(3);
  });

  it('by a fault of the program ends everything', async () => {
    const fault = new TypeError('a fault');
    await expect(run([masksOutput(at('m.json')), failing('bad', 7, fault)])).rejects.toBe(fault);
    expect(await readdir(folder)).toEqual([]);
  });
});
