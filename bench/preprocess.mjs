// Milliseconds to shrink one 720p frame to 360×640, antialias on and off, beside sharp's linear kernel on the same
// pixels in the same process, both on one thread. Prints one line a variant: median, best, and sharp's time over ours.
//
//   node bench/preprocess.mjs [--json] [frames, default 100]
import { createRequire } from 'node:module';
import sharp from 'sharp';

const core = createRequire(import.meta.url)('../build/Release/rvos_core.node');
const json = process.argv.includes('--json');
const runs = Number(process.argv.slice(2).find((argument) => /^\d+$/.test(argument)) ?? 100);
if (!(runs > 0)) throw new Error('give a number of frames above 0');

const [height, width, targetHeight, targetWidth] = [720, 1280, 360, 640];
const source = new Uint8Array(height * width * 3);
for (let i = 0; i < source.length; i++) source[i] = (Math.imul(i, 2654435761) >>> 13) & 255;
const target = new Uint8Array(targetHeight * targetWidth * 3);

sharp.concurrency(1);
sharp.cache(false);
const variants = {
  'core, antialias on': () => resize(true),
  'core, antialias off': () => resize(false),
  'sharp, linear': () =>
    sharp(source, { raw: { width, height, channels: 3 } })
      .resize(targetWidth, targetHeight, { kernel: 'linear', fit: 'fill' })
      .raw()
      .toBuffer(),
};

function resize(antialias) {
  return core.resize({ source, height, width, target, targetHeight, targetWidth, antialias });
}

// Variants take turns, so that a busy moment of the machine meets all of them.
const times = Object.fromEntries(Object.keys(variants).map((name) => [name, []]));
for (let i = -5; i < runs; i++) {
  for (const [name, run] of Object.entries(variants)) {
    const start = performance.now();
    await run();
    if (i >= 0) times[name].push(performance.now() - start);
  }
}

const median = (name) => times[name].sort((a, b) => a - b)[Math.floor(runs / 2)];
const sharpMedian = median('sharp, linear');
const results = Object.keys(variants).map((name) => ({
  name,
  medianMs: median(name),
  bestMs: times[name][0],
  ratio: sharpMedian / median(name),
}));
if (json) console.log(JSON.stringify({ runs, from: [height, width], to: [targetHeight, targetWidth], results }));
else {
  console.log(`${height}×${width} to ${targetHeight}×${targetWidth}, ${runs} frames, milliseconds a frame`);
  for (const { name, medianMs, bestMs, ratio } of results) {
    const line = `${name.padEnd(20)} median ${medianMs.toFixed(2)}  best ${bestMs.toFixed(2)}`;
    console.log(`${line}  ${ratio.toFixed(2)} times as fast as sharp`);
  }
}
