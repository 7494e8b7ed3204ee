import { execFileSync } from 'node:child_process';
import { cp, mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { naturalOrder } from '../../src/video/pictures/natural-order.js';
import { ffmpeg, readAll, rvosError, videoFolder } from '../support/videos.js';

const field = (name: string) => join(import.meta.dirname, '../field-cases', name);
let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (...names: string[]) => join(folder.path, ...names);
beforeAll(async () => {
  folder = await videoFolder();
});
afterAll(() => folder.remove());

/** One plain picture of 16×8 pixels. */
async function plain(red: number, ending = 'png'): Promise<Buffer> {
  const image = sharp({ create: { width: 16, height: 8, channels: 3, background: { r: red, g: 40, b: 80 } } });
  return image.toFormat(ending as 'png').toBuffer();
}

async function folderOf(name: string, files: Record<string, string | Uint8Array>): Promise<string> {
  await mkdir(at(name));
  for (const [file, data] of Object.entries(files)) await writeFile(at(name, file), data);
  return at(name);
}

describe('natural order', () => {
  it.each([
    ['f10.png f9.png f1.png', 'f1.png f9.png f10.png'],
    ['t_0.png t_-1.png t_-10.png t_2.png', 't_-10.png t_-1.png t_0.png t_2.png'],
    ['0.5.png 0.25.png 0.125.png 1.png', '0.125.png 0.25.png 0.5.png 1.png'],
    ['t=-0.5.jpg t=-1.5.jpg t=0.25.jpg', 't=-1.5.jpg t=-0.5.jpg t=0.25.jpg'],
    ['img-10.png img-9.png', 'img-9.png img-10.png'],
    ['2024-01-02.png 2023-12-31.png', '2023-12-31.png 2024-01-02.png'],
    ['s.2.10.3.png s.2.9.3.png', 's.2.9.3.png s.2.10.3.png'],
    [
      'a00012345678901234567890.png a12345678901234567889.png',
      'a12345678901234567889.png a00012345678901234567890.png',
    ],
    ['1403636579.763555.png 1403636579.763554.png', '1403636579.763554.png 1403636579.763555.png'],
  ])('%s', (names, sorted) => expect(naturalOrder(names.split(' '))).toEqual(sorted.split(' ')));
});

describe('a folder of pictures', () => {
  it('ignores what is no file, unopened', async () => {
    const path = await folderOf('kinds', { '1.png': await plain(10), '.2.png': 'hidden', 'notes.txt': 'x' });
    await mkdir(at('kinds', '3.png'));
    execFileSync('mkfifo', [at('kinds', '4.png')]);
    await symlink(at('kinds', '1.png'), at('kinds', '5.png'));
    await symlink(at('kinds', '3.png'), at('kinds', '6.png'));
    expect((await readAll(path)).frames).toHaveLength(2);
  });

  it('names a link that leads nowhere, and a picture that cannot be read', async () => {
    const path = await folderOf('broken', { '1.png': await plain(10) });
    await symlink(at('nowhere'), at('broken', '2.png'));
    await expect(readAll(path)).rejects.toThrow(/2\.png is a link that leads nowhere/);
    const damaged = await folderOf('damaged', { '1.png': await plain(10), '2.png': (await plain(9)).subarray(0, 50) });
    await expect(readAll(damaged)).rejects.toMatchObject({
      code: 'NOT_A_VIDEO',
      message: expect.stringContaining('2.png'),
    });
  });

  it('reads CMYK as decoders of video do', async () => {
    const { frames } = await readAll(field('cmyk'));
    const raw = ['-f', 'rawvideo', '-pix_fmt', 'rgb24'];
    for (const [i, name] of ['1.jpg', '2.jpg'].entries()) {
      await ffmpeg('-i', join(field('cmyk'), name), ...raw, at('cmyk.rgb'));
      expect(Buffer.compare(frames[i]!.data, await readFile(at('cmyk.rgb')))).toBe(0);
    }
  });

  it('reads TIFF, AVIF and GIF, and says that endings are mixed', async () => {
    const files = {
      '1.tif': await plain(10, 'tiff'),
      '2.avif': await plain(20, 'avif'),
      '3.gif': await plain(30, 'gif'),
    };
    const { frames, warnings } = await readAll(await folderOf('mixed', files));
    expect(frames.map(({ data }) => Math.abs(data[0]! - 20) <= 13)).toEqual([true, true, true]);
    expect(warnings).toEqual([expect.stringMatching(/1 \.tif, 1 \.avif, 1 \.gif/)]);
    const same = { '1.jpg': await plain(10, 'jpeg'), '2.JPEG': await plain(20, 'jpeg') };
    expect((await readAll(await folderOf('same', same))).warnings).toEqual([]);
  });

  it.each(['heic', 'jxl'])('says how to convert .%s', async (ending) => {
    const path = await folderOf(ending, { '1.png': await plain(10), [`2.${ending}`]: 'x' });
    await expect(readAll(path)).rejects.toMatchObject({
      code: 'NOT_A_VIDEO',
      hint: expect.stringContaining('out.png'),
    });
  });

  it('takes no picture with several pages for one frame', async () => {
    const animated = await readFile(field('animated.webp'));
    const path = await folderOf('pages', { '1.webp': animated, '2.webp': await plain(1, 'webp') });
    await expect(readAll(path)).rejects.toThrow(/1\.webp holds 12 pictures/);
    expect((await readAll(await folderOf('alone', { '1.webp': animated }))).frames).toHaveLength(12);
    await ffmpeg(
      '-f',
      'lavfi',
      '-i',
      'testsrc2=size=32x32:rate=5:duration=1',
      '-plays',
      '0',
      '-f',
      'apng',
      at('a.png'),
    );
    await mkdir(at('moving'));
    await cp(at('a.png'), at('moving', 'a.png'));
    expect((await readAll(at('moving'))).frames).toHaveLength(5);
  });
});

describe('a still picture', () => {
  it('is one frame by its ending, whatever stands in its name', async () => {
    const bytes = await readFile(field('photo.jpg'));
    await writeFile(at('p%03d.jpg'), bytes);
    await writeFile(at('bare'), bytes);
    const [bare] = (await readAll(at('bare'))).frames;
    for (const name of [field('photo.jpg'), at('p%03d.jpg')]) {
      const { frames } = await readAll(name);
      expect(frames).toHaveLength(1);
      expect(Buffer.compare(frames[0]!.data, bare!.data)).toBe(0);
    }
    await ffmpeg('-i', field('photo.jpg'), at('photo.tga'));
    expect((await readAll(at('photo.tga'))).frames).toHaveLength(1);
    await writeFile(at('photo.avif'), await plain(10, 'avif'));
    expect((await readAll(at('photo.avif'))).frames).toHaveLength(1);
  });

  it('in name only is a video', async () => {
    await ffmpeg('-f', 'lavfi', '-i', 'testsrc2=size=32x32:rate=5:duration=1', '-f', 'mp4', at('video.jpg'));
    expect((await readAll(at('video.jpg'))).frames).toHaveLength(5);
  });
});

describe('an animated WebP', () => {
  it('gives all its frames at their times', async () => {
    const { frames, info } = await readAll(field('animated.webp'));
    expect(frames.map(({ time }) => time)).toEqual(Array.from({ length: 12 }, (_, i) => expect.closeTo(i / 12, 2)));
    expect(info.duration).toBeCloseTo(1, 2);
    const part = await readAll(field('animated.webp'), { start: 0.3, end: 0.6 });
    const wanted = frames.filter(({ time }) => time >= 0.3 && time < 0.6);
    expect(part.frames.map(({ time }) => time)).toEqual(wanted.map(({ time }) => time));
    expect(part.frames.every(({ data }, i) => Buffer.compare(data, wanted[i]!.data) === 0)).toBe(true);
  });

  it('that is damaged is no video', async () => {
    await writeFile(at('cut.webp'), (await readFile(field('animated.webp'))).subarray(0, 3000));
    await expect(readAll(at('cut.webp'))).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
  });
});
