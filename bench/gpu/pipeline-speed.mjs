// The window pipeline from frames on the host to masks on the host, without JavaScript between batches but for what a
// caller has to do: as many batches are kept queued as keep the GPU busy.
import { pipelineLimits } from '../../dist/backends/tensorrt/pipeline-limits.js';
import { means, median, noiseBytes } from './statistics.mjs';

/** Tokens of a sentence, as the published cost table counts them. */
const tokens = 12;

/** Opens a pipeline over engines of one batch size. */
export async function openPipeline({ addon, device, model, engines, inFlight }) {
  const { mean, std } = model.preprocessing;
  const { short, long, transformer } = engines;
  const limits = pipelineLimits(model, engines, inFlight);
  const paths = { short: short.path, ...(long && { long: long.path }), transformer: transformer.path };
  const pipeline = await addon.openPipeline({ ...limits, device: device.index, engines: paths, mean, std });
  return { pipeline, limits };
}

/** Batches of windows of full length, each of new videos' windows: `submit()` queues the next one. */
function batchesOf({ pipeline, limits }, { windows, sentences, source, frames, overlap = 0 }) {
  const clip = Array.from({ length: frames }, (_, t) => noiseBytes(source.height * source.width * 3, t));
  const text = Float32Array.from({ length: tokens * limits.textFeatures }, (_, i) => Math.sin(i));
  let submitted = 0;
  return () => {
    const number = submitted++;
    const shared = number > 0 ? overlap : 0;
    const start = number * (frames - overlap);
    return pipeline.run({
      // Every window of a batch is of a video of its own.
      windows: Array.from({ length: windows }, (_, stream) => ({
        ...{ stream, start, count: frames, shared },
        frames: clip.slice(shared),
      })),
      sentences: Array.from({ length: windows * sentences }, (_, i) => ({
        window: Math.floor(i / sentences),
        tokens,
        features: text,
      })),
      source: { ...source, format: 'rgb', pitch: source.width * 3 },
      antialias: true,
      queries: 'best',
    }).done;
  };
}

/**
 * Runs `batches` batches. `overlap` frames of each window are those of the one before, so that they are neither uploaded nor
 * preprocessed again; 0: all frames are new.
 */
export async function measurePipeline(opened, options) {
  const { pipeline, limits } = opened;
  const { windows, frames, overlap = 0, batches, warmUp = 3 } = options;
  const submit = batchesOf(opened, options);
  const queued = limits.inFlight + 1;
  // All at once, so that every slot has seen the shapes and captured its graphs.
  for (let i = 0; i < warmUp; i++) await Promise.all(Array.from({ length: queued }, submit));
  const running = [];
  const started = performance.now();
  let last = started;
  const gaps = [];
  for (let done = 0; done < batches; done++) {
    while (running.length < queued && done + running.length < batches) running.push(submit());
    await running.shift();
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  }
  const seconds = (performance.now() - started) / 1000;
  for (let stream = 0; stream < windows; stream++) pipeline.forget(stream);
  const newFrames = frames - overlap;
  return {
    millisecondsPerWindow: (seconds * 1000) / (batches * windows),
    medianMillisecondsPerBatch: median(gaps),
    framesPerSecond: (batches * windows * newFrames) / seconds,
  };
}

/** GPU milliseconds of one window by stage, from batches with nothing else under way. */
export async function measureStages(opened, { runs = 10, ...options }) {
  const { pipeline } = opened;
  const submit = batchesOf(opened, options);
  const timings = [];
  for (let run = -2; run < runs; run++) {
    await submit();
    if (run >= 0) timings.push(pipeline.lastTimings);
  }
  for (let stream = 0; stream < options.windows; stream++) pipeline.forget(stream);
  return Object.fromEntries(Object.entries(means(timings)).map(([name, value]) => [name, value / options.windows]));
}

/** Milliseconds of a lone window, nothing else under way: what a caller waits. */
export async function measureLatency({ pipeline, limits }, { sentences, source, frames, runs = 20 }) {
  const clip = Array.from({ length: frames }, (_, t) => noiseBytes(source.height * source.width * 3, t));
  const text = Float32Array.from({ length: tokens * limits.textFeatures }, (_, i) => Math.sin(i));
  const times = [];
  for (let run = -5; run < runs; run++) {
    const started = performance.now();
    await pipeline.run({
      windows: [{ stream: 0, start: 0, count: frames, shared: 0, frames: clip }],
      sentences: Array.from({ length: sentences }, () => ({ window: 0, tokens, features: text })),
      source: { ...source, format: 'rgb', pitch: source.width * 3 },
      antialias: true,
      queries: 'best',
    }).done;
    if (run >= 0) times.push(performance.now() - started);
  }
  pipeline.forget(0);
  return median(times);
}
