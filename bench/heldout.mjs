// How well a model does on held-out generated clips, through the product: videos in, masks out, by the SDK's stream.
//   PYTHONPATH=training python -m rvos_training.heldout --out DIR --clips 200
//   node bench/heldout.mjs DIR [--model compact] [--csv FILE] [--json]
// A sentence's IoU is the mean over frames of intersection / union (1 where both are empty), as J is defined.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { decodeMaskPng, maskOverlap, Segmenter } from '../dist/index.js';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    model: { type: 'string', default: 'compact' },
    csv: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const root = positionals[0];
if (!root) {
  process.stderr.write('usage: node bench/heldout.mjs <folder of held-out clips> [--model DIR]\n');
  process.exit(2);
}

const mean = (values) => values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
const segmenter = await Segmenter.open({ model: options.model, backend: 'onnxruntime' });
const rows = [];
const absentScores = [];
try {
  const clips = readdirSync(root).filter((name) => /^\d+$/.test(name));
  for (const [done, name] of clips.entries()) {
    const folder = join(root, name);
    const clip = JSON.parse(readFileSync(join(folder, 'clip.json'), 'utf8'));
    const stream = segmenter.stream(
      join(folder, 'video.mp4'),
      clip.sentences.map(({ text }) => text),
    );
    const ious = clip.sentences.map(() => []);
    for await (const frame of stream) {
      for (const [i, { present }] of clip.sentences.entries()) {
        if (!present) continue;
        const file = `${String(frame.index).padStart(5, '0')}.png`;
        const truth = await decodeMaskPng(readFileSync(join(folder, 'masks', String(i), file)));
        const { intersection, union } = maskOverlap(frame.masks[i], truth);
        ious[i].push(union === 0 ? 1 : intersection / union);
      }
    }
    const { queries } = stream.summary();
    for (const [i, { text, present, kinds }] of clip.sentences.entries()) {
      if (!present) absentScores.push(queries[i].score);
      else rows.push({ clip: name, text, kinds, score: queries[i].score, iou: mean(ious[i]) });
    }
    process.stderr.write(
      `\r${done + 1}/${clips.length} clips, mean IoU ${mean(rows.map((row) => row.iou)).toFixed(3)}`,
    );
  }
  process.stderr.write('\n');
} finally {
  await segmenter.dispose();
}

const byKind = {};
for (const kind of new Set(rows.flatMap((row) => row.kinds))) {
  const found = rows.filter((row) => row.kinds.includes(kind)).map((row) => row.iou);
  byKind[kind] = { sentences: found.length, meanIou: mean(found) };
}
const pairs = rows.flatMap((row) =>
  absentScores.map((score) => (row.score > score ? 1 : row.score === score ? 0.5 : 0)),
);
const result = {
  sentences: rows.length,
  meanIou: mean(rows.map((row) => row.iou)),
  byKind,
  absentSentences: absentScores.length,
  scoreAuroc: absentScores.length > 0 ? mean(pairs) : null,
};
if (options.csv) {
  const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
  const lines = rows.map((r) =>
    [r.clip, quoted(r.text), r.kinds.join('+'), r.score.toFixed(4), r.iou.toFixed(4)].join(','),
  );
  writeFileSync(options.csv, `clip,sentence,kinds,score,iou\n${lines.join('\n')}\n`);
}
process.stdout.write(`${options.json ? JSON.stringify(result) : JSON.stringify(result, null, 1)}\n`);
