import { readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { emptyMask } from '../../src/masks/mask.js';
import { drainInto, type SinkOpener } from '../../src/results/frame-sink.js';
import { contactSheetOutput, cutOutsOutput, maskedVideoOutput, masksOutput } from '../../src/results/outputs.js';
import { SegmentationStream } from '../../src/results/segmentation-stream.js';
import type { VideoInfo } from '../../src/video/frame.js';
import { type SmallDisk, smallFileSystem, smallFiles } from '../support/small-disk.js';
import { ffmpeg, readAll, videoFolder } from '../support/videos.js';

const size = { width: 96, height: 64 };
const count = 8;
let sources: Awaited<ReturnType<typeof videoFolder>>;
let sound: string;
beforeAll(async () => {
  sources = await videoFolder();
  sound = join(sources.path, 'sound.mkv');
  const picture = ['-f', 'lavfi', '-i', `testsrc2=s=96x64:r=25:d=${count / 25}`];
  await ffmpeg(...picture, '-f', 'lavfi', '-i', `sine=d=${count / 25}`, '-c:v', 'ffv1', '-c:a', 'flac', sound);
});
afterAll(() => sources.remove());

/** A stream of noise, of which no encoder makes little. `onFrame` is called before each frame. */
function noise(file: string | undefined, onFrame: (index: number) => void): SegmentationStream {
  const info: VideoInfo = {
    ...{ source: 'noise', ...size, frameRate: 25, duration: null },
    ...(file === undefined ? { hasAudio: false } : { hasAudio: true, file }),
  };
  return new SegmentationStream({
    sentences: ['a ball'],
    part: {},
    expectedFrames: () => null,
    begin: async () => ({
      info,
      warnings: [],
      close: async () => undefined,
    }),
    async *run(_signal, onWindow) {
      let seed = 1;
      for (let index = 0; index < count; index++) {
        onFrame(index);
        const data = new Uint8Array(size.width * size.height * 3);
        for (let i = 0; i < data.length; i++) {
          seed = (seed * 1103515245 + 12345) & 0x7fffffff;
          data[i] = seed >> 16;
        }
        const mask = emptyMask(size);
        for (let i = 0; i < mask.bits.length; i++) mask.bits[i] = data[i]!;
        yield { index, time: index / 25, frame: { ...size, data, time: index / 25 }, masks: [mask], window: 0 };
      }
      onWindow([{ start: 0, end: count, objectQuery: 0, score: 0.5 }]);
    },
  });
}

type Kind = [what: string, name: string, output: (path: string) => SinkOpener, withSound?: boolean];
const kinds: Kind[] = [
  ['a masked video', 'out.mp4', (path) => maskedVideoOutput(path, { force: true })],
  ['a masked video with sound', 'sound.mp4', (path) => maskedVideoOutput(path, { force: true }), true],
  ['cut-outs as WebM', 'cut.webm', (path) => cutOutsOutput(0, path, { force: true })],
  ['cut-outs as PNG', 'cut', (path) => cutOutsOutput(0, path, { force: true })],
  ['masks as JSON', 'masks.json', (path) => masksOutput(path, { force: true })],
  ['masks as PNG', 'masks', (path) => masksOutput(path, { force: true })],
  ['a contact sheet', 'sheet.png', (path) => contactSheetOutput(path, { force: true })],
];
/** Parts of the finished output's size that there is room for: ffmpeg meets the end of it in each of its phases. */
const phasesOf = (name: string) => (/\.(mp4|webm)$/.test(name) ? [0, 0.5, 0.95, 0.999] : [0, 0.9]);

const disks: (readonly [string, () => Promise<SmallDisk | undefined>])[] = [
  ['a limit on the size of files', smallFiles],
];
const mounted = await smallFileSystem();
await mounted?.remove();
if (mounted) disks.push(['a file system that is full', smallFileSystem]);

describe.each(disks)('with %s', (_, open) => {
  let disk: SmallDisk;
  beforeAll(async () => {
    disk = (await open())!;
    // The spool of masks lies there, too.
    vi.stubEnv('TMPDIR', disk.folder);
  });
  afterAll(async () => {
    vi.unstubAllEnvs();
    await disk.remove();
  });

  it.each(kinds)(
    '%s is complete, or it is not there and the error is told',
    async (...[, name, output, withSound]: Kind) => {
      const path = join(disk.folder, name);
      const isFile = name.includes('.');
      const run = (onFrame: (index: number) => void = () => undefined) =>
        drainInto(noise(withSound ? sound : undefined, onFrame), [output(path)]);
      await run();
      const sizes = await sizesOf(path);
      const whole = await seenIn(path);
      const largest = Math.max(...sizes);
      const all = sizes.reduce((sum, size) => sum + size, 0);
      await rm(path, { recursive: true });
      if (isFile) await writeFile(path, 'an earlier one');
      const before = await readdir(disk.folder);

      const outcomes: string[] = [];
      for (const phase of phasesOf(name)) {
        try {
          // From the first frame on, so that nothing is found beforehand.
          await run(
            (index) => index === 0 && disk.leave(Math.floor(phase * (disk.folder.includes('files') ? largest : all))),
          );
          outcomes.push('complete');
          expect(await seenIn(path), `written with room for ${phase}`).toEqual(whole);
          await rm(path, { recursive: true });
          if (isFile) await writeFile(path, 'an earlier one');
        } catch (error) {
          disk.free();
          expect(error).toMatchObject({ code: expect.stringMatching(/^(DISK_FULL|OUTPUT_NOT_WRITABLE)$/) });
          outcomes.push('told');
          expect(await readdir(disk.folder)).toEqual(before);
          if (isFile) expect(await readFile(path, 'utf8')).toBe('an earlier one');
        } finally {
          disk.free();
        }
      }
      expect(outcomes[0]).toBe('told');
      // Enough room again.
      await run();
      expect(await seenIn(path)).toEqual(whole);
      await rm(path, { recursive: true });
    },
  );
});

async function filesOf(path: string): Promise<string[]> {
  if ((await stat(path)).isFile()) return [path];
  const entries = await readdir(path, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [join(entry.parentPath, entry.name)] : [])).sort();
}

async function sizesOf(path: string): Promise<number[]> {
  return Promise.all((await filesOf(path)).map(async (file) => (await stat(file)).size));
}

/** What an output shows: the frames of a video, else the bytes of its files. */
async function seenIn(path: string): Promise<Uint8Array[]> {
  if (!/\.(mp4|webm)$/.test(path)) return Promise.all((await filesOf(path)).map((file) => readFile(file)));
  const { frames, warnings } = await readAll(path);
  expect(warnings).toEqual([]);
  expect(frames).toHaveLength(count);
  return frames.map(({ data }) => data);
}
