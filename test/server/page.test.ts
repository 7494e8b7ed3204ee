import { existsSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { maskColor } from '../../src/masks/overlay.js';
import { decodeRle } from '../../src/masks/rle.js';
import { packageRoot } from '../../src/package-root.js';
import { createServer, SegmentationService } from '../../src/server/index.js';
import { unpackBits } from '../support/bits.js';
import { json } from '../support/test-server.js';
import { videoFolder } from '../support/videos.js';

const program = process.env.RVOS_CHROMIUM ?? '/usr/bin/chromium';
/** Where pictures for the documents go, if they are wanted. */
const pictures = process.env.RVOS_PAGE_PICTURES;

let folder: Awaited<ReturnType<typeof videoFolder>>;
let service: SegmentationService;
let server: Awaited<ReturnType<typeof createServer>>;
let address: string;
let browser: Browser;
beforeAll(async () => {
  if (!existsSync(program))
    throw new Error('Chromium is missing: apt-get install chromium, or name it in RVOS_CHROMIUM.');
  folder = await videoFolder();
  service = await SegmentationService.open({ model: 'compact' });
  server = await createServer({ service, data: join(folder.path, 'data'), minFreeDisk: 0, apiKeys: ['page-key'] });
  address = await server.listen({ port: 0 });
  browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'] });
});
afterAll(async () => {
  await browser?.close();
  await server?.close(0);
  await service?.dispose();
  await folder?.remove();
});

async function open(options: { width?: number; dark?: boolean } = {}): Promise<{ page: Page; problems: string[] }> {
  const page = await browser.newPage({
    viewport: { width: options.width ?? 900, height: 1000 },
    colorScheme: options.dark ? 'dark' : 'light',
  });
  const problems: string[] = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().includes('401')) problems.push(message.text());
  });
  await page.goto(address);
  return { page, problems };
}

async function picture(page: Page, name: string): Promise<void> {
  if (!pictures) return;
  await mkdir(pictures, { recursive: true });
  await page.screenshot({ path: join(pictures, `${name}.png`), fullPage: true });
}

// What runs in the browser.
const canvasPixels = `(() => {
  const canvas = document.querySelector('canvas');
  const { width, height } = canvas;
  return { width, height, data: btoa(Array.from(canvas.getContext('2d').getImageData(0, 0, width, height).data, (byte) => String.fromCharCode(byte)).join('')) };
})()`;
/** Shows what is at this time and waits until the masks of that frame are drawn. */
const seek = (time: number, frame: number) => `new Promise((resolve) => {
  const player = document.querySelector('video');
  const look = () =>
    document.querySelector('canvas').dataset.frame === '${frame}' ? resolve() : setTimeout(look, 20);
  player.pause();
  player.currentTime = ${time};
  look();
})`;
const unnamedControls = `[...document.querySelectorAll('input, button')].filter(
  (control) => !control.labels?.length && !control.getAttribute('aria-label') && !control.textContent.trim(),
).length`;

describe('the page', () => {
  it('segments the sample clip; the masks on its canvas are those of the API, pixel by pixel', async () => {
    const { page, problems } = await open();
    await page.getByRole('button', { name: 'Take the sample clip' }).click();
    await page.getByText('sample.mp4').waitFor();
    await page.getByLabel('API key').fill('page-key');
    await page.getByRole('button', { name: 'Segment' }).click();
    await page.getByText('Done.').waitFor({ timeout: 60_000 });
    const headers = { authorization: 'Bearer page-key' };
    const [job] = (await json(fetch(`${address}/v1/segmentations`, { headers }))).segmentations;
    const { masks, video } = await json(fetch(`${address}${job.links.masks}`, { headers }));
    await page.getByLabel('Opacity of masks').fill('100');
    for (const frame of [0, 20, 47]) {
      await page.evaluate(seek((frame + 0.5) / video.frame_rate, frame));
      const shown = await page.evaluate<{ width: number; height: number; data: string }>(canvasPixels);
      expect([shown.width, shown.height]).toEqual([video.width, video.height]);
      const expected = new Uint8ClampedArray(4 * video.width * video.height);
      masks.forEach((own: Parameters<typeof decodeRle>[0][], sentence: number) => {
        const { bits } = decodeRle(own[frame]!);
        const pixels = unpackBits(bits, 0, video.width * video.height);
        for (let pixel = 0; pixel < video.width * video.height; pixel++) {
          if (pixels[pixel]) expected.set([...maskColor(sentence), 255], 4 * pixel);
        }
      });
      expect(Buffer.from(shown.data, 'base64').equals(Buffer.from(expected))).toBe(true);
      expect(expected.some((value) => value !== 0)).toBe(true);
    }
    await page.getByLabel('Opacity of masks').fill('60');
    await picture(page, 'page');
    await page.getByLabel('the red heart moving right').uncheck();
    await page.getByLabel('the large rotating blue heart').uncheck();
    const left = await page.evaluate<{ data: string }>(canvasPixels);
    expect(Buffer.from(left.data, 'base64').some((value) => value !== 0)).toBe(false);
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Masks', exact: true }).click();
    expect(JSON.parse(await readFile(await (await download).path(), 'utf8')).masks).toEqual(masks);
    expect(problems).toEqual([]);
    await page.close();
  });

  it('tells what the API tells: a missing key, a file that is no video', async () => {
    const { page } = await open();
    await page.getByRole('button', { name: 'Segment' }).click();
    expect(await page.getByRole('alert').textContent()).toBe('Choose a video first.');
    await page.getByLabel('Choose a video').setInputFiles(join(packageRoot, 'package.json'));
    await page.getByLabel('Sentence 1', { exact: true }).fill('the cat');
    await page.getByRole('button', { name: 'Segment' }).click();
    await page.getByText('send a known API key').waitFor();
    await page.getByLabel('API key').fill('page-key');
    await page.getByRole('button', { name: 'Segment' }).click();
    await page.getByRole('alert').getByText('video').waitFor();
    expect(await page.getByRole('alert').textContent()).not.toContain(folder.path);
    await page.close();
  });

  it('can be used by keyboard alone, has names for all its controls, and fits a phone', async () => {
    const { page, problems } = await open({ width: 360, dark: true });
    const seen: string[] = [];
    for (let i = 0; i < 8; i++) {
      await page.keyboard.press('Tab');
      seen.push(await page.evaluate("document.activeElement.id || document.activeElement.getAttribute('aria-label')"));
    }
    expect(seen).toEqual(
      expect.arrayContaining(['file', 'record', 'example', 'Sentence 1', 'Remove sentence 1', 'add', 'run']),
    );
    const unnamed = await page.evaluate(unnamedControls);
    expect(unnamed).toBe(0);
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(360);
    await picture(page, 'page-phone');
    expect(problems).toEqual([]);
    await page.close();
  });

  it('takes nothing from elsewhere', async () => {
    const page = await fetch(`${address}/`);
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'.*frame-ancestors 'none'/);
    expect(await page.text()).not.toMatch(/(src|href)="(https?:)?\/\//);
    expect((await fetch(`${address}/page/..%2fpackage.json`)).status).toBe(404);
  });
});
