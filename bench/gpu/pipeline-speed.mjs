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

/**
 * Runs `batches` batches of windows of full length. `overlap` frames of each window are those of the one before, so that
 * they are neither uploaded nor preprocessed again; 0: all frames are new.
 */
export async function measurePipeline({ pipeline, limits }, options) {
  const { windows, sentences, source, frames, overlap = 0, batches, warmUp = 6 } = options;
  const clip = Array.from({ length: frames }, (_, t) => noiseBytes(source.height * source.width * 3, t));
  const text = Float32Array.from({ length: tokens * limits.textFeatures }, (_, i) => Math.sin(i));
  let submitted = 0;
  const submit = () => {
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

  for (let i = 0; i < warmUp; i++) await submit();
  const queued = limits.inFlight + 1;
  const running = [];
  const timings = [];
  const started = performance.now();
  let last = started;
  const gaps = [];
  for (let done = 0; done < batches; done++) {
    while (running.length < queued && done + running.length < batches) running.push(submit());
    await running.shift();
    const now = performance.now();
    gaps.push(now - last);
    last = now;
    timings.push(pipeline.lastTimings);
  }
  const seconds = (performance.now() - started) / 1000;
  for (let stream = 0; stream < windows; stream++) pipeline.forget(stream);
  const newFrames = frames - overlap;
  return {
    millisecondsPerWindow: (seconds * 1000) / (batches * windows),
    medianMillisecondsPerBatch: median(gaps),
    framesPerSecond: (batches * windows * newFrames) / seconds,
    /** GPU time of one window by stage, milliseconds. */
    stages: Object.fromEntries(Object.entries(means(timings)).map(([name, value]) => [name, value / windows])),
  };
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
