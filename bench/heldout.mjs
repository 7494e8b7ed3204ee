// How well a model does on the exam, through the product: videos in, masks out, by the SDK's stream.
//   PYTHONPATH=training python -m rvos_training.heldout --out DIR [--clips N]
//   node bench/heldout.mjs DIR [--model compact] [--clips N] [--min-score X] [--frames T] [--short-side N --long-side N]
//                              [--csv FILE] [--json]
// J and F are DAVIS's, averaged over a sentence's frames. --frames: only the first T frames of each clip, as one window.
// A false mask is an absent sentence with any mask over 0.1 % of a frame, a miss a present one whose masks are all empty.
// --calibrate: also what each minimum score would do (by a sentence's score; the product compares window by window).
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { boundaryAccuracy } from '../dist/eval/metrics/boundary-accuracy.js';
import { regionSimilarity } from '../dist/eval/metrics/region-similarity.js';
import { decodeMaskPng, maskOverlap, Segmenter } from '../dist/index.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'compact' },
    clips: { type: 'string' },
    frames: { type: 'string' },
    'min-score': { type: 'string' },
    'short-side': { type: 'string' },
    'long-side': { type: 'string' },
    calibrate: { type: 'boolean', default: false },
    csv: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const root = positionals[0];
if (!root) {
  process.stderr.write('usage: node bench/heldout.mjs <folder of held-out clips> [--model DIR]\n');
  process.exit(2);
}

const mean = (values) => (values.length === 0 ? null : values.reduce((a, b) => a + b, 0) / values.length);
const number = (name) => (options[name] === undefined ? undefined : Number(options[name]));
const run = {
  minScore: number('min-score'),
  shortSide: number('short-side'),
  longSide: number('long-side'),
};
const length = number('frames') ?? Number.POSITIVE_INFINITY;
const segmenter = await Segmenter.open({ model: options.model, backend: 'onnxruntime' });
const rows = [];
try {
  const names = readdirSync(root).filter((name) => /^\d+$/.test(name));
  const clips = names.sort().slice(0, number('clips') ?? names.length);
  for (const [done, name] of clips.entries()) {
    rows.push(...(await measure(name)));
    const jf = mean(rows.filter((row) => row.present).map((row) => (row.j + row.f) / 2));
    process.stderr.write(`\r${done + 1}/${clips.length} clips, J&F ${(jf ?? 0).toFixed(3)}`);
  }
  process.stderr.write('\n');
} finally {
  await segmenter.dispose();
}

/** The figures of each of a clip's sentences. */
async function measure(name) {
  const folder = join(root, name);
  const clip = JSON.parse(readFileSync(join(folder, 'clip.json'), 'utf8'));
  const end = length < clip.frames ? (length - 0.5) / clip.frame_rate : undefined;
  const texts = clip.sentences.map(({ text }) => text);
  const stream = segmenter.stream(join(folder, 'video.mp4'), texts, { ...run, end });
  const found = clip.sentences.map(() => ({ j: [], f: [], largest: 0 }));
  for await (const frame of stream) {
    for (const [i, { present }] of clip.sentences.entries()) {
      const mask = frame.masks[i];
      const { intersection: area } = maskOverlap(mask, mask);
      found[i].largest = Math.max(found[i].largest, area / (mask.height * mask.width));
      if (!present) continue;
      const file = `${String(frame.index).padStart(5, '0')}.png`;
      const truth = await decodeMaskPng(readFileSync(join(folder, 'masks', String(i), file)));
      found[i].j.push(regionSimilarity(truth, mask));
      found[i].f.push(boundaryAccuracy(truth, mask));
    }
  }
  const { queries } = stream.summary();
  return clip.sentences.map(({ text, present, kinds }, i) => ({
    ...{ clip: name, text, present, kinds: clip.compressed ? [...kinds, 'compressed'] : kinds },
    ...{ score: queries[i].score, j: mean(found[i].j), f: mean(found[i].f), largest: found[i].largest },
  }));
}

const summary = (chosen) => {
  const [j, f] = [mean(chosen.map((row) => row.j)), mean(chosen.map((row) => row.f))];
  return { sentences: chosen.length, jf: j === null ? null : (j + f) / 2, j, f };
};
const present = rows.filter((row) => row.present);
const absent = rows.filter((row) => !row.present);
const pairs = present.flatMap((row) =>
  absent.map((other) => (row.score > other.score ? 1 : row.score === other.score ? 0.5 : 0)),
);
const isFalse = (row) => row.largest > 0.001;
const isMissed = (row) => row.largest === 0;
const share = (chosen, test) => (chosen.length === 0 ? null : chosen.filter(test).length / chosen.length);
const result = {
  present: summary(present),
  byKind: Object.fromEntries(
    [...new Set(present.flatMap((row) => row.kinds))].map((kind) => [
      kind,
      summary(present.filter((row) => row.kinds.includes(kind))),
    ]),
  ),
  absentSentences: absent.length,
  scoreAuroc: mean(pairs),
  falseMasks: share(absent, isFalse),
  missed: share(present, isMissed),
};
if (options.calibrate) {
  result.calibration = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95].map((minScore) => ({
    minScore,
    falseMasks: share(absent, (row) => row.score >= minScore && isFalse(row)),
    missed: share(present, (row) => row.score < minScore || isMissed(row)),
    jf: mean(present.map((row) => (row.score < minScore ? 0 : (row.j + row.f) / 2))),
  }));
}
if (options.csv) {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const figure = (value) => (value === null ? '' : value.toFixed(4));
  const lines = rows.map((r) =>
    [
      ...[r.clip, quoted(r.text), Number(r.present), r.kinds.join('+')],
      ...[r.score, r.j, r.f, r.largest].map(figure),
    ].join(','),
  );
  writeFileSync(options.csv, `clip,sentence,present,kinds,score,j,f,largest\n${lines.join('\n')}\n`);
}
process.stdout.write(`${options.json ? JSON.stringify(result) : JSON.stringify(result, null, 1)}\n`);
