import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import sharp from 'sharp';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Mask } from '../../src/masks/mask.js';
import { bitmapText } from '../../src/video/captions/bitmap-font.js';
import { captionStrips, fitText, stripHeight } from '../../src/video/captions/captions.js';
import { missingLetters } from '../../src/video/captions/missing-letters.js';
import { ContactSheet, type ContactSheetOptions } from '../../src/video/contact-sheet.js';
import type { RgbFrame } from '../../src/video/frame.js';
import { compileSource } from '../support/compiled-source.js';
import { rvosError } from '../support/videos.js';

const red = [237, 30, 121] as const;
let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rvos-pictures-'));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** Left, right, top and bottom margins of what is not black, in pixels. */
function margins(strip: Uint8Array, width: number, height: number) {
  const columns = new Set<number>();
  const rows = new Set<number>();
  for (let i = 0; i < width * height; i++) {
    if (strip[3 * i]! + strip[3 * i + 1]! + strip[3 * i + 2]! === 0) continue;
    columns.add(i % width);
    rows.add(Math.floor(i / width));
  }
  return {
    left: Math.min(...columns),
    right: width - 1 - Math.max(...columns),
    top: Math.min(...rows),
    bottom: height - 1 - Math.max(...rows),
  };
}

describe('captions', () => {
  it('are centred in their colour on black', async () => {
    const strip = await captionStrips([{ text: 'a red ball', color: red }], 400, 36);
    const { left, right, top, bottom } = margins(strip, 400, 36);
    expect(Math.abs(left - right)).toBeLessThanOrEqual(2);
    expect(Math.abs(top - bottom)).toBeLessThanOrEqual(2);
    expect(left).toBeGreaterThan(100);
    const brightest = Math.max(...strip.filter((_, i) => i % 3 === 0));
    expect(brightest).toBe(237);
    expect(strip.every((value, i) => value <= red[i % 3]!)).toBe(true);
  });

  it('shrink, then end in an ellipsis, and never leave their strip', async () => {
    const short = await fitText('a red ball', 300, 26);
    const longer = await fitText('a red ball rolling on the grass on the left', 300, 26);
    expect(longer.height).toBeLessThan(short.height + 1);
    for (const text of ['word '.repeat(2000), 'W'.repeat(10_000), '汉'.repeat(300)]) {
      const fitted = await fitText(text, 300, 26);
      expect(fitted.width).toBeLessThanOrEqual(300);
      expect(fitted.width).toBeGreaterThan(200);
      expect(fitted.height).toBeLessThanOrEqual(26);
    }
    expect((await fitText('word', 1, 26)).width).toBeLessThanOrEqual(1);
    expect(
      await captionStrips(
        [
          { text: 'a', color: red },
          { text: '', color: red },
        ],
        2,
        18,
      ),
    ).toHaveLength(2 * 36 * 3);
  });

  it('show markup and control characters as text', async () => {
    const wanted = await fitText('x < y & z > "1" \'2\'', 400, 26);
    expect(wanted.width).toBeGreaterThan(80);
    const tagged = await fitText('<b>bold</b><span foreground="red">x</span>', 800, 26);
    expect(tagged.width).toBeGreaterThan((await fitText('boldx', 800, 26)).width * 3);
    const broken = await fitText('</markup><![CDATA[ \u0000\u0007\u001b[31m &#x1f; \n next \ud800 \u202e rtl', 800, 26);
    expect(broken.width).toBeGreaterThan(100);
  });

  it('have strips in proportion: 36 pixels for 360 lines', () => {
    expect(stripHeight(360, 2)).toBe(36);
    expect(stripHeight(1080, 1)).toBe(108);
    expect(stripHeight(4320, 1)).toBe(144);
    expect(stripHeight(64, 1)).toBe(18);
    for (const [height, count] of [
      [53, 3],
      [360, 40],
      [1, 1],
    ] as const) {
      expect(stripHeight(height, count) % 2).toBe(0);
      expect(stripHeight(height, count)).toBeGreaterThanOrEqual(12);
    }
  });

  it('are legible without any font on the machine', async () => {
    const compiled = compileSource();
    try {
      await writeFile(
        join(folder, 'fonts.conf'),
        '<?xml version="1.0"?><fontconfig><dir>/nonexistent</dir></fontconfig>',
      );
      const script = `
        import { fitText } from ${JSON.stringify(join(compiled.folder, 'video/captions/captions.js'))};
        import { bitmapText } from ${JSON.stringify(join(compiled.folder, 'video/captions/bitmap-font.js'))};
        const text = await fitText('a red ball', 400, 26);
        console.log(Buffer.compare(text.data, bitmapText('a red ball', 26 * 0.8).data), text.width);`;
      const child = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
        encoding: 'utf8',
        env: { ...process.env, FONTCONFIG_FILE: join(folder, 'fonts.conf') },
      });
      expect(child.stdout).toBe('0 118\n');
    } finally {
      compiled.remove();
    }
  });
});

describe('the built-in letters', () => {
  const art = (text: string) => {
    const { width, height, data } = bitmapText(text, 7);
    return Array.from({ length: height }, (_, y) =>
      [...data.subarray(y * width, (y + 1) * width)].map((v) => (v ? '#' : '.')).join(''),
    );
  };

  it('look like letters', () => {
    const letters = ['#.......#', '#.......#', '#.......#', '#.......#', '#.......#', '#........', '#####...#'];
    expect(art('L!').map((line) => line.slice(0, 9))).toEqual(letters);
    expect(art('é')).toEqual(art('e'));
    expect(art('汉')[0]).toBe('#####');
  });

  it('differ from one another', () => {
    const all = Array.from({ length: 94 }, (_, i) => art(String.fromCharCode(33 + i)).join());
    expect(new Set(all).size).toBe(94);
  });
});

describe('ContactSheet', () => {
  const frame = (index: number, width = 64, height = 36): RgbFrame => ({
    width,
    height,
    time: index / 10,
    data: new Uint8Array(width * height * 3).fill(index % 256),
  });
  const mask: Mask = { width: 64, height: 36, bits: new Uint8Array((64 * 36) / 8).fill(255) };
  const painted: [number, number][] = [];
  const options: ContactSheetOptions = {
    title: 'clip.mp4',
    sentences: [
      { text: 'first', color: [41, 171, 226] },
      { text: 'second', color: red },
    ],
    paintMask: async (source, _, sentence) => {
      painted.push([source.data[0]!, sentence]);
      return { ...source, data: source.data.map((value, i) => (i % 3 === sentence ? value : 0)) };
    },
  };

  it.each([1, 2, 5, 6, 7, 40, 251])('shows up to six evenly spaced frames of %i', async (frames) => {
    const sheet = new ContactSheet(options);
    painted.length = 0;
    for (let i = 0; i < frames; i++) await sheet.add(frame(i), [mask, mask]);
    expect(painted.length).toBeLessThan(2 * (40 + frames / 4));
    const { data, info } = await sharp(await sheet.toPng([0.9, 0.1]))
      .raw()
      .toBuffer({ resolveWithObject: true });
    const columns = Math.min(6, frames);
    expect(info.width).toBe(Math.max(columns * 320 + (columns - 1) * 10, 480) + 48);
    // The middle of each cell: its frame's number, in the channel of its row.
    const pixel = (column: number, y: number) => {
      const x = 24 + column * 330 + 160;
      return [...data.subarray((y * info.width + x) * 3, (y * info.width + x) * 3 + 3)];
    };
    const firstRow = 24 + 30 + 8 + 22 + 4 + 26 + 6 + 90;
    const secondRow = firstRow + 26 + 6 + 180 + 16;
    const shown = Array.from({ length: columns }, (_, column) => pixel(column, firstRow)[0]!);
    expect(shown[0]).toBe(0);
    if (frames > 1) {
      const spacing = (frames - 1) / (columns - 1);
      for (const [column, index] of shown.entries())
        expect(Math.abs(index - column * spacing)).toBeLessThanOrEqual(spacing / 2 + 0.5);
      expect([...shown].sort((a, b) => a - b)).toEqual(shown);
      expect(new Set(shown).size).toBe(columns);
      expect(pixel(columns - 1, secondRow)).toEqual([0, shown.at(-1), 0]);
    }
  });

  it('is written once, and refuses to replace', async () => {
    const sheet = new ContactSheet(options);
    await sheet.add(frame(7), [mask, mask]);
    await sheet.save(join(folder, 'sheet.png'), [1, 0]);
    expect((await sharp(await readFile(join(folder, 'sheet.png'))).metadata()).format).toBe('png');
    await expect(sheet.save(join(folder, 'sheet.png'), [1, 0])).rejects.toMatchObject(rvosError('OUTPUT_EXISTS'));
    await sheet.save(join(folder, 'sheet.png'), [1, 0], { force: true });
  });
});

describe('letters that no font has', () => {
  it('are told once, by script, with what to install', async () => {
    expect(await missingLetters(['the red ball, è ñ ß', 'größer'])).toEqual([]);
    // Scripts that no font of the tests' machine has, and one that nobody's has.
    const [warning, ...others] = await missingLetters(['\u{12000}\u{12001} the ball', '\u{3fffd}']);
    expect(others).toEqual([]);
    expect(warning).toMatch(/^captions show boxes for .*letters, which no installed font has; install /);
  });
});
