import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { downloadVideo } from '../../src/video/download.js';
import { openVideo } from '../../src/video/open-video.js';
import { compileSource } from '../support/compiled-source.js';
import { ffmpeg, readAll, rvosError, videoFolder } from '../support/videos.js';

let folder: Awaited<ReturnType<typeof videoFolder>>;
const at = (name: string) => join(folder.path, name);

beforeAll(async () => {
  folder = await videoFolder();
  const source = ['-f', 'lavfi', '-i', 'testsrc2=size=64x48:rate=25:duration=1'];
  await ffmpeg(...source, '-movflags', '+faststart', at('clip.mp4'));
  // Longer than what ffmpeg looks at before it gives up seeking in a pipe.
  const noise = ['-f', 'lavfi', '-i', 'nullsrc=size=640x480:rate=25:duration=2,noise=alls=100:allf=t'];
  await ffmpeg(...noise, '-c:v', 'mpeg4', '-q:v', '1', at('tail.mp4'));
  await ffmpeg(...source, at('clip.mkv'));
});
afterAll(() => folder.remove());

describe('a folder of images', () => {
  const color = (value: number, width = 8, height = 6) =>
    sharp({ create: { width, height, channels: 3, background: { r: value, g: 2 * value, b: 0 } } });

  it('is read in natural order, other files ignored, at the frame rate given', async () => {
    const images = at('images');
    await mkdir(images);
    for (const [name, value] of [
      ['f10.png', 30],
      ['f2.png', 20],
      ['f1.png', 10],
    ] as const) {
      await writeFile(join(images, name), await color(value).png().toBuffer());
    }
    await writeFile(join(images, '.f0.png'), 'hidden');
    await writeFile(join(images, 'notes.txt'), 'x');
    await mkdir(join(images, 'sub'));
    const { info, frames } = await readAll(images);
    expect(info).toMatchObject({ width: 8, height: 6, frameRate: 25, duration: 0.12, hasAudio: false });
    expect(frames.map((frame) => [frame.data[0], frame.data[1], frame.time])).toEqual([
      [10, 20, 0],
      [20, 40, 0.04],
      [30, 60, 0.08],
    ]);
    const slow = await readAll(images, { imageFrameRate: 2, start: 0.5, end: 1 });
    expect(slow.frames.map((frame) => [frame.data[0], frame.time])).toEqual([[20, 0.5]]);
    await expect(readAll(images, { start: 3 })).rejects.toMatchObject(rvosError('NO_FRAMES'));
    await expect(readAll(images, { imageFrameRate: 0 })).rejects.toMatchObject(rvosError('BAD_ARGUMENT'));
  });

  it('takes png, jpg, jpeg, webp and bmp, grey, 16 bits, with transparency and turned by EXIF', async () => {
    const images = at('kinds');
    await mkdir(images);
    await writeFile(join(images, 'a.png'), await color(50).ensureAlpha(0.5).png().toBuffer());
    await writeFile(
      join(images, 'b.jpg'),
      await color(50).jpeg({ quality: 100, chromaSubsampling: '4:4:4' }).toBuffer(),
    );
    await writeFile(
      join(images, 'c.jpeg'),
      await color(50, 6, 8).jpeg({ quality: 100 }).withMetadata({ orientation: 6 }).toBuffer(),
    );
    await writeFile(join(images, 'd.webp'), await color(50).webp({ lossless: true }).toBuffer());
    await ffmpeg('-i', join(images, 'a.png'), '-pix_fmt', 'bgr24', '-frames:v', '1', join(images, 'e.bmp'));
    await writeFile(join(images, 'f.png'), await color(50).toColourspace('b-w').png().toBuffer());
    await writeFile(join(images, 'g.png'), await color(50).toColourspace('rgb16').png().toBuffer());
    const { frames } = await readAll(images);
    expect(frames).toHaveLength(7);
    for (const [i, frame] of frames.entries()) {
      expect([frame.width, frame.height, frame.data.length]).toEqual([8, 6, 144]);
      if (i === 5) expect(new Set(frame.data).size).toBe(1);
      else for (const [c, value] of [50, 100, 0].entries()) expect(Math.abs(frame.data[c]! - value)).toBeLessThan(3);
    }
  });

  it('reports no images, sizes that differ, and a damaged image', async () => {
    await mkdir(at('none'));
    await expect(openVideo(at('none'))).rejects.toMatchObject(rvosError('NO_FRAMES'));
    await mkdir(at('mixed'));
    await writeFile(at('mixed/1.png'), await color(1).png().toBuffer());
    await writeFile(at('mixed/2.png'), await color(1, 9).png().toBuffer());
    await expect(readAll(at('mixed'))).rejects.toMatchObject({
      code: 'BAD_FRAME_SIZE',
      message: expect.stringContaining('2.png'),
    });
    await writeFile(at('mixed/2.png'), (await readFile(at('mixed/1.png'))).subarray(0, 40));
    await expect(readAll(at('mixed'))).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
  });
});

describe('pipes', () => {
  /** Runs the compiled reader in a child process and returns what it prints. */
  async function inChild(script: string, input: string): Promise<string> {
    const compiled = compileSource();
    try {
      const code = `
        import { openVideo } from ${JSON.stringify(join(compiled.folder, 'video/open-video.js'))};
        try { ${script} } catch (error) { console.log(error.code + ': ' + error.message + ' ' + error.hint); }`;
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      child.stdin.on('error', () => {});
      createReadStream(input).pipe(child.stdin);
      let output = '';
      for await (const text of child.stdout.setEncoding('utf8')) output += text;
      return output.trim();
    } finally {
      compiled.remove();
    }
  }
  const count = `
    const reader = await openVideo('-', { start: 0.2, standardInput: true });
    const times = []; for await (const frame of reader.frames()) times.push(frame.time);
    console.log(JSON.stringify([reader.info, times.length, times[0]]));`;

  it.each(['clip.mkv', 'clip.mp4'])('standard input is streamed: %s', async (name) => {
    const [info, frames, first] = JSON.parse(await inChild(count, at(name)));
    expect(info).toMatchObject({
      source: 'standard input',
      width: 64,
      height: 48,
      frameRate: 25,
      hasAudio: false,
    });
    expect([frames, first]).toEqual([20, 0.2]);
  });

  it.runIf(process.platform === 'linux')('named pipes are read', async () => {
    execFileSync('mkfifo', [at('pipe')]);
    const writing = spawn('sh', ['-c', 'cat "$0" > "$1"', at('clip.mkv'), at('pipe')]);
    const { frames } = await readAll(at('pipe'));
    expect(frames).toHaveLength(25);
    writing.kill();
  });

  it('a terminal is refused', async () => {
    const compiled = compileSource();
    try {
      const script = join(compiled.folder, 'terminal.js');
      await writeFile(
        script,
        "import { openVideo } from './video/open-video.js'; openVideo('-', { standardInput: true }).catch((error) => console.log(error.code, error.message));",
      );
      // `script` gives its child a terminal.
      const child = spawnSync('script', ['-qec', `"${process.execPath}" "${script}"`, '/dev/null'], {
        encoding: 'utf8',
      });
      expect(child.stdout).toContain('BAD_ARGUMENT standard input is a terminal');
    } finally {
      compiled.remove();
    }
  });
});

describe('addresses', () => {
  let server: Server;
  let base: string;
  const seen: string[] = [];
  beforeAll(async () => {
    server = createServer(async (request, response) => {
      const url = request.url!;
      seen.push(`${url} ${request.headers.authorization ?? ''}`);
      const hop = /^\/hop(\d+)/.exec(url)?.[1];
      if (url.startsWith('/clip.mkv')) response.end(await readFile(at('clip.mkv')));
      else if (hop !== undefined)
        response.writeHead(302, { location: hop === '0' ? '/clip.mkv' : `/hop${Number(hop) - 1}` }).end();
      else if (url === '/to-file') response.writeHead(302, { location: `file://${at('clip.mkv')}` }).end();
      else if (url === '/page') response.end('<html>not here</html>');
      else if (url === '/empty') response.end();
      else if (url === '/endless') {
        const timer = setInterval(() => response.write(Buffer.alloc(1 << 16)), 1);
        response.on('close', () => clearInterval(timer));
      } else if (url === '/cut') {
        response.writeHead(200, { 'content-length': '1000' });
        response.write('x', () => response.destroy());
      } else if (url !== '/silent') response.writeHead(404).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });
  /** The server is on this machine, and no proxy is to be asked for it. */
  const local = { allowPrivateUrls: true, urlProxy: false };
  const leftovers = async () => (await readdir(tmpdir())).filter((name) => name.startsWith('rvos-download-'));

  it('are downloaded, redirects followed, and the temporary file removed', async () => {
    const before = await leftovers();
    const reader = await openVideo(`${base}/hop4`, local);
    expect((await leftovers()).length).toBe(before.length + 1);
    let frames = 0;
    for await (const _ of reader.frames()) frames++;
    expect(frames).toBe(25);
    expect(reader.info.source).toBe(`${base}/hop4`);
    expect(reader.info.file).toContain(tmpdir());
    expect(await leftovers()).toEqual(before);
    await reader.close();
  });

  it('keep secrets out of messages', async () => {
    const address = base.replace('//', '//me:secret@');
    const { info } = await readAll(`${address}/clip.mkv?token=abc`, local);
    expect(info.source).toBe(`${base}/clip.mkv`);
    expect(seen.at(-1)).toBe(`/clip.mkv?token=abc Basic ${Buffer.from('me:secret').toString('base64')}`);
    await expect(openVideo(`${address}/none?token=abc`, local)).rejects.toSatisfy(
      (error: Error) => !/secret|abc/.test(error.message) && /404/.test(error.message),
    );
  });

  it('are bounded in size, time and redirects, and only http', async () => {
    const before = await leftovers();
    for (const [path, options, code] of [
      ['/hop5', {}, 'DOWNLOAD_FAILED'],
      ['/to-file', {}, 'BAD_ARGUMENT'],
      ['/none', {}, 'DOWNLOAD_FAILED'],
      ['/empty', {}, 'DOWNLOAD_FAILED'],
      ['/cut', {}, 'DOWNLOAD_FAILED'],
      ['/clip.mkv', { maxBytes: 100 }, 'LIMIT_EXCEEDED'],
      ['/endless', { maxBytes: 1 << 20 }, 'LIMIT_EXCEEDED'],
      ['/endless', { timeoutSeconds: 0.3 }, 'LIMIT_EXCEEDED'],
      ['/silent', { timeoutSeconds: 0.3 }, 'LIMIT_EXCEEDED'],
    ] as const) {
      await expect(downloadVideo(base + path, { ...local, download: options }), path).rejects.toMatchObject(
        rvosError(code),
      );
    }
    await expect(openVideo(`${base}/page`, local)).rejects.toMatchObject(rvosError('NOT_A_VIDEO'));
    await expect(openVideo('http://127.0.0.1:1/x', local)).rejects.toMatchObject(rvosError('DOWNLOAD_FAILED'));
    for (const address of ['ftp://example.org/a.mp4', 'file:///etc/passwd', 'rtsp://x/y', 'concat:a|b']) {
      await expect(openVideo(address)).rejects.toMatchObject({ code: expect.stringMatching(/BAD_ARGUMENT|NOT_FOUND/) });
    }
    expect(await leftovers()).toEqual(before);
  });

  it('of this machine and of private networks are refused unless told', async () => {
    seen.length = 0;
    await expect(openVideo(`${base}/clip.mkv`)).rejects.toMatchObject(rvosError('ADDRESS_REFUSED'));
    await expect(openVideo(`${base}/clip.mkv`)).rejects.toMatchObject({
      hint: expect.stringContaining('--allow-private-urls'),
    });
    expect(seen).toEqual([]);
  });

  it('stop at an abort', async () => {
    const before = await leftovers();
    const controller = new AbortController();
    const opening = openVideo(`${base}/silent`, { ...local, signal: controller.signal });
    setTimeout(() => controller.abort(), 100);
    await expect(opening).rejects.toMatchObject(rvosError('ABORTED'));
    expect(await leftovers()).toEqual(before);
  });
});
