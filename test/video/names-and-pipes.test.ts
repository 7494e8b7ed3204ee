import { execFileSync, spawnSync } from 'node:child_process';
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openVideo } from '../../src/video/open-video.js';
import { indexFollows } from '../../src/video/piped-video.js';
import { compileSource } from '../support/compiled-source.js';
import { ffmpeg, videoFolder } from '../support/videos.js';

const field = (name: string) => join(import.meta.dirname, '../field-cases', name);
let folder: Awaited<ReturnType<typeof videoFolder>>;
let compiled: ReturnType<typeof compileSource>;
const at = (name: string) => join(folder.path, name);
beforeAll(async () => {
  folder = await videoFolder();
  compiled = compileSource();
  await ffmpeg(
    '-i',
    field('default-video-second.mp4'),
    '-map',
    '0',
    '-c',
    'copy',
    '-movflags',
    '+faststart',
    at('front.mp4'),
  );
  await writeFile(
    at('count.mjs'),
    `import { openVideo } from ${JSON.stringify(join(compiled.folder, 'video/open-video.js'))};
     try {
       const options = { standardInput: true, ...JSON.parse(process.argv[3] ?? '{}') };
       const reader = await openVideo(process.argv[2], options);
       let frames = 0; for await (const _ of reader.frames()) frames++;
       console.log(frames + ' frames, ' + reader.info.width + ' wide');
     } catch (error) { console.log(error.code + ': ' + error.message + ' ' + error.hint); }`,
  );
});
afterAll(async () => {
  compiled.remove();
  await folder.remove();
});

/** What counting the frames prints, run by a shell with the command's parts as $1, $2, … */
function shell(command: string, ...parts: string[]): string {
  const count = `${process.execPath} ${at('count.mjs')}`;
  const run = spawnSync('bash', ['-c', command.replaceAll('COUNT', count), 'bash', ...parts], {
    encoding: 'utf8',
    timeout: 30_000,
  });
  return run.stdout.trim() + run.stderr.trim();
}

describe('standard input', () => {
  const last = () => field('default-video-second.mp4'); // its index stands at its end
  it('that is a file is read as one', () => {
    expect(shell('COUNT - < "$1"', last())).toBe('48 frames, 240 wide');
    expect(shell('COUNT /dev/stdin < "$1"', last())).toBe('48 frames, 240 wide');
    expect(shell('COUNT /dev/fd/5 5< "$1"', last())).toBe('48 frames, 240 wide');
  });

  it('that is a pipe brings an MP4 in either order', () => {
    expect(shell('cat "$1" | COUNT -', last())).toBe('48 frames, 240 wide');
    expect(shell('cat "$1" | COUNT -', at('front.mp4'))).toBe('48 frames, 240 wide');
    expect(shell('COUNT <(cat "$1")', last())).toBe('48 frames, 240 wide');
    expect(shell(`cat "$1" | COUNT - '{"maxSpool":10000}'`, last())).toMatch(
      /^LIMIT_EXCEEDED: standard input: more than 10,000 bytes .*--max-spool/,
    );
    expect(shell('cat "$1" | COUNT -', field('animated.webp'))).toBe('12 frames, 120 wide');
  });

  it('that stays open does not keep a process that has all it wants', () => {
    const command = `COUNT - '{"end":0.5}' < <(cat "$1"; exec sleep 60 2>&-)`;
    expect(shell(command, at('front.mp4'))).toBe('6 frames, 240 wide'); // within half of that minute
  });
});

it('boxes of an MP4 tell where its index stands', () => {
  const box = (type: string, size = 8) => {
    const bytes = Buffer.alloc(Math.min(size, 64));
    bytes.writeUInt32BE(size);
    bytes.write(type, 4, 'latin1');
    return bytes;
  };
  const file = (...boxes: Buffer[]) => indexFollows(Buffer.concat(boxes));
  expect(file(box('ftyp', 24), box('free'), box('mdat', 1e6))).toBe(true);
  expect(file(box('wide'), box('mdat', 1e6))).toBe(true);
  expect(file(box('ftyp', 24), box('moov', 1e5))).toBe(false);
  expect(file(box('ftyp', 24), box('styp'), box('moof', 100))).toBe(false);
  expect(file(box('ftyp', 24), box('free', 1e6))).toBe(true);
  expect(file(Buffer.from('RIFF....AVI LIST'))).toBe(false);
  expect(file(Buffer.from('abc'))).toBe(false);
});

describe.runIf(process.platform === 'linux')('a name that is not UTF-8', () => {
  const odd = (...parts: (string | number)[]) =>
    Buffer.concat(parts.map((part) => (typeof part === 'number' ? Buffer.from([part]) : Buffer.from(part))));
  const count = async (path: Buffer) => {
    const reader = await openVideo({ path });
    let frames = 0;
    for await (const _ of reader.frames()) frames++;
    return frames;
  };

  it('is opened by its bytes: a file, a folder, a picture in a folder', async () => {
    const video = odd(`${folder.path}/caf`, 0xe9, '.mp4');
    await copyFile(field('default-video-second.mp4'), video);
    expect(await count(video)).toBe(48);
    const pictures = odd(`${folder.path}/bild`, 0xff);
    await mkdir(pictures);
    for (const i of [1, 2]) await copyFile(field('photo.jpg'), Buffer.concat([pictures, odd('/n', 0xe9, `${i}.jpg`)]));
    expect(await count(pictures)).toBe(2);
    await mkdir(at('plain'));
    for (const byte of [0xe8, 0xe9]) await copyFile(field('photo.jpg'), odd(`${folder.path}/plain/`, byte, '.jpg'));
    expect(await count(Buffer.from(at('plain')))).toBe(2);
    expect(await count(Buffer.from(at('front.mp4')))).toBe(48);
  });

  it('as text is refused with a way around it', () => {
    execFileSync('cp', [field('photo.jpg'), at('x.jpg')]);
    expect(shell(`mv "$1" $'${folder.path}/\\xff.jpg'; COUNT $'${folder.path}/\\xff.jpg'`, at('x.jpg'))).toMatch(
      /^NOT_FOUND: .*not UTF-8.*- < file/,
    );
  });
});
