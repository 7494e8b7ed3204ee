// Contact sheets of clips of the exam with all their sentences, in one picture: what bench/heldout.mjs measures, to look at.
//   node bench/heldout-pictures.mjs DIR --out FILE.png [--model compact] [--clips 0,1,…] [--columns 2]
// Sheets are drawn at half size, each in the column that is shortest so far. Those of the model card are smaller still:
//   ffmpeg -i FILE.png -vf "scale=1440:-1:flags=area,split[a][b];[a]palettegen=max_colors=128[p];[b][p]paletteuse=dither=none" OUT.png
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { decode, encode } from 'fast-png';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'compact' },
    clips: { type: 'string', default: Array.from({ length: 20 }, (_, i) => i).join() },
    columns: { type: 'string', default: '2' },
    out: { type: 'string' },
  },
});
const root = positionals[0];
if (!root || !options.out) {
  process.stderr.write('usage: node bench/heldout-pictures.mjs <folder of held-out clips> --out FILE.png\n');
  process.exit(2);
}
const cli = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url));

/** A picture of half the size, RGB: each pixel the mean of four. */
function halved({ width, height, data, channels }) {
  const half = { width: width >> 1, height: height >> 1 };
  const found = new Uint8Array(half.width * half.height * 3);
  for (let y = 0, to = 0; y < half.height; y++) {
    for (let x = 0; x < half.width; x++) {
      const from = (2 * y * width + 2 * x) * channels;
      const below = from + width * channels;
      for (let c = 0; c < 3; c++, to++) {
        const sum = data[from + c] + data[from + channels + c] + data[below + c] + data[below + channels + c];
        found[to] = (sum + 2) >> 2;
      }
    }
  }
  return { ...half, data: found };
}

const scratch = mkdtempSync(join(tmpdir(), 'rvos-sheets-'));
const sheets = [];
try {
  for (const clip of options.clips.split(',')) {
    const folder = join(root, clip.padStart(5, '0'));
    const { sentences } = JSON.parse(readFileSync(join(folder, 'clip.json'), 'utf8'));
    const sheet = join(scratch, 'sheet.png');
    const texts = sentences.map(({ text }) => text);
    const args = ['segment', join(folder, 'video.mp4'), ...texts, '--model', options.model, '--contact-sheet', sheet];
    execFileSync(process.execPath, [cli, ...args, '--force', '--quiet'], { stdio: ['ignore', 'ignore', 'inherit'] });
    sheets.push(halved(decode(readFileSync(sheet))));
    process.stderr.write(`\r${sheets.length} clips`);
  }
  process.stderr.write('\n');
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

const columns = Number(options.columns);
const heights = new Array(columns).fill(0);
const places = sheets.map(({ height }) => {
  const column = heights.indexOf(Math.min(...heights));
  const top = heights[column];
  heights[column] += height;
  return { column, top };
});
const columnWidth = Math.max(...sheets.map(({ width }) => width));
const [width, height] = [columns * columnWidth, Math.max(...heights)];
const data = new Uint8Array(width * height * 3).fill(sheets[0].data[0]);
for (const [i, { column, top }] of places.entries()) {
  const sheet = sheets[i];
  for (let y = 0; y < sheet.height; y++) {
    const row = sheet.data.subarray(y * sheet.width * 3, (y + 1) * sheet.width * 3);
    data.set(row, ((top + y) * width + column * columnWidth) * 3);
  }
}
writeFileSync(options.out, encode({ width, height, data, channels: 3, depth: 8 }));
