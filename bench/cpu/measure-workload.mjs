// One workload in all columns that can run: they take turns, ours first; then the masks are compared.
import { join } from 'node:path';
import { encodedClip, rawClip } from './clips.mjs';
import { leastOverlap, masksOfJson, packedMasks } from './compare-masks.mjs';
import { columns, pytorchColumns, sentencesOf } from './workloads.mjs';

/** Masks of forms in FP32 and of those in bfloat16 must agree with `published` so far, or a figure is void. */
const leastIoU = { fp32: 0.999, bf16: 0.99 };

/**
 * `running`: the columns by name, as `Column`; `tokens`: token ids of a sentence; `rounds`; `folder` for clips and masks.
 * Gives the workload's part of the result.
 */
export async function measureWorkload(workload, { running, precisions, tokens, rounds, folder, tell }) {
  const names = columns.filter((name) => running.has(name));
  const job = (name, round, part = workload) => jobOf(part, { name, round, tokens, folder });

  for (const name of names) {
    tell(`${workload.name}: ${name} warms up`);
    // What does not compile for a size needs no whole run to be warm.
    const short = name.startsWith('published') ? { ...workload, ...lesser(workload) } : workload;
    await running.get(name).run(job(name, 0, short));
  }
  const runs = Object.fromEntries(names.map((name) => [name, []]));
  const last = {};
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) {
      if (round > 1 && workload.once.includes(name)) continue;
      const answer = await running.get(name).run(job(name, round));
      tell(`${workload.name}: ${name}, round ${round}: ${answer.seconds.toFixed(2)} s`);
      runs[name].push(answer);
      last[name] = { round, ...answer };
    }
  }
  const { iou, margin } = await agreement(workload, { running, names, job, last });
  const isVoid = (name) =>
    iou[name] !== undefined && !pytorchColumns.includes(name) && !(iou[name] >= leastIoU[precisions[name]]);
  const seconds = byColumn((name) =>
    runs[name] && !isVoid(name) ? median(runs[name].map((run) => run.seconds)) : null,
  );
  const ratio = (name) => (seconds[name] !== null && seconds.rvos !== null ? seconds[name] / seconds.rvos : null);
  const ours = ['rvos', 'rvos_fp32', 'rvos_onnxruntime'].filter((name) => iou[name] !== undefined);
  return {
    name: workload.name,
    sentences: workload.sentences,
    frames: workload.frames * workload.clips,
    precision: precisions.rvos ?? null,
    precision_by_column: byColumn((name) => precisions[name] ?? null),
    rounds,
    once: rounds > 1 ? workload.once.filter((name) => names.includes(name)) : [],
    seconds,
    spread: byColumn((name) => (runs[name] ? spread(runs[name].map((run) => run.seconds)) : null)),
    ratio: { published: ratio('published'), published_bf16: ratio('published_bf16'), strong: ratio('strong') },
    mask_iou: ours.length > 0 ? Math.min(...ours.map((name) => iou[name])) : null,
    mask_iou_by_column: byColumn((name) => iou[name] ?? null),
    score_margin: margin,
    void: names.filter(isVoid),
    peak_bytes: byColumn((name) => (runs[name] ? Math.max(...runs[name].map((run) => run.peakBytes)) : null)),
    event_loop_delay_ms: last.rvos?.eventLoopDelay ?? null,
    stages: last.rvos?.stages ?? null,
  };
}

function byColumn(value) {
  return Object.fromEntries(columns.map((name) => [name, value(name)]));
}

/** A warm-up for columns that run eagerly: every step once, on few frames. */
function lesser({ frames, files }) {
  return files ? { frames: 24 } : { frames: Math.min(frames, 2), sentences: 1, clips: 1 };
}

function jobOf(workload, { name, round, tokens, folder }) {
  const { size, networkSize, frames, clips, schedule, files, rate } = workload;
  const texts = sentencesOf(workload, round);
  return {
    ...{ ...size, frames, schedule, rate, texts },
    sentences: texts.map(tokens),
    networkHeight: networkSize.height,
    networkWidth: networkSize.width,
    shortSide: Math.min(networkSize.height, networkSize.width),
    longSide: Math.max(networkSize.height, networkSize.width),
    clips: Array.from({ length: clips }, (_, clip) => {
      const out = join(folder, `${name}-${clip}`);
      const masks = `${out}.${files && name.startsWith('rvos') ? 'json' : 'bits'}`;
      if (!files) return { frames: rawClip(folder, workload, clip, round), masks };
      return { video: encodedClip(folder, workload, round), masks, maskedVideo: `${out}.mp4` };
    }),
  };
}

/** How far each column's masks of the last common round agree with `published`, for the object queries that it chose. */
async function agreement(workload, { running, names, job, last }) {
  if (!last.published) return { iou: {}, margin: null };
  const iou = {};
  const margins = [];
  const round = last.published.round;
  const chosen = queriesOf(last.published);
  const expected = await masksOf('published', job('published', round), workload);
  for (const name of names.filter((other) => other !== 'published')) {
    const own = job(name, round);
    if (workload.files || pytorchColumns.includes(name)) {
      // Their files are those of the last round; where `published` ran once, they run that round again.
      if (last[name].round !== round) last[name] = { round, ...(await running.get(name).run(own)) };
      iou[name] = sameQueries(queriesOf(last[name]), chosen) ? 1 : 0;
    } else {
      iou[name] = 1;
      const queries = chosen.map((clip) => clip.map(([query]) => query));
      margins.push((await running.get(name).run({ ...own, queries })).margin);
    }
    if (iou[name] === 0) continue;
    const found = await masksOf(name, own, workload);
    iou[name] = Math.min(...found.map((masks, clip) => leastOverlap(masks, expected[clip], workload.sentences)));
  }
  return { iou, margin: margins.length > 0 ? Math.min(...margins) : null };
}

/** [clip][sentence][window] */
function queriesOf({ found }) {
  return found.map((clip) => clip.map((windows) => windows.map(({ query }) => query)));
}

function sameQueries(a, b) {
  return JSON.stringify(a) === JSON.stringify(b);
}

function masksOf(name, job, workload) {
  const json = workload.files && name.startsWith('rvos');
  return Promise.all(job.clips.map(({ masks }) => (json ? masksOfJson(masks) : packedMasks(masks, workload))));
}

function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

function spread(values) {
  return [Math.min(...values), Math.max(...values)];
}
